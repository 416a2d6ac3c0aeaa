"""DiffWave: the noise in a sound, predicted by a stack of centred gated convolutions."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int, Num, PRNGKeyArray

from wavedil.errors import Size, UserError
from wavedil.models.conditioning import Labels, embedded_labels, label_tables
from wavedil.models.diffwave_config import DiffWaveConfig
from wavedil.models.embeddings import look_up
from wavedil.nn import Conv1d, DiffusionBlock, require_causal
from wavedil.nn.door import enter, enter_with_context
from wavedil.nn.mask import inner, masked
from wavedil.ops.devices import split_alike


class DiffWave(nnx.Module):
    """The noise that was added to a sound, predicted from their sum, for diffusion (arXiv:2009.09761).

        x[t] = sqrt(a_t) sound + sqrt(1 - a_t) noise        a_t: `config.signal_shares`
        model(x[t], t) is about the noise

        x -> 1x1 -> ReLU -> diffusion blocks -> skip sum / sqrt(layers) -> 1x1 -> ReLU -> 1x1 -> noise
                                  ^
        t -> sines, cosines -> 2 linear layers, SiLU;   labels -> embeddings

    Its sound has root mean square 1: samples divided by `config.level`. The sines and cosines of t are those of Ho et
    al. 2020 (arXiv:2006.11239), which are alike for steps that are near each other.

    Args:
      config: Sizes, schedule of the noise, labels.
      rngs: Source of the initial weights.

    Shapes:
      __call__: [batch, time, 1] -> [batch, time, 1]
      noise_step: [batch], the diffusion step of each signal, counted from 0.
      labels: values or rows of each named label; row 0 where it is not known.

    Raises:
      UserError: By `DiffWaveConfig`, where sizes do not fit; by `init_state` and `step`, for it sees the future.

    Example:
      >>> model = DiffWave(DiffWaveConfig.tiny(), rngs=nnx.Rngs(0))
      >>> model(jnp.ones((1, 100, 1)), jnp.array([3])).shape
      (1, 100, 1)
    """

    config_class: ClassVar[type[DiffWaveConfig]] = DiffWaveConfig
    hidden_kernels: ClassVar[tuple[str, ...]] = ("blocks.", "hidden")
    """As `WaveNet.hidden_kernels`."""

    in_channels = 1

    def __init__(self, config: DiffWaveConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        channels, embedding = config.channels, config.embedding_channels
        self.input = Conv1d(1, channels, kernel_size=1, rngs=rngs)
        self.step_layers = nnx.List(
            Conv1d(embedding, embedding, kernel_size=1, rngs=rngs) for _ in range(2)
        )
        self.blocks = nnx.List(
            DiffusionBlock(
                channels,
                embedding,
                kernel_size=config.kernel_size,
                dilation=dilation,
                condition_channels=config.condition_channels,
                rngs=rngs,
            )
            for dilation in config.layer_dilations
        )
        self.hidden = Conv1d(channels, channels, kernel_size=1, rngs=rngs)
        self.output = Conv1d(channels, 1, kernel_size=1, rngs=rngs)
        # The first guess is no noise, as in the paper.
        self.output.kernel[...] *= 0.0
        self.label_embeddings = label_tables(config, rngs)
        self.receptive_field = config.receptive_field

    def __call__(
        self,
        x: Num[Array, "batch time 1"],
        noise_step: Int[Array, " batch"],
        labels: Labels | None = None,
        *,
        mask: Bool[Array, "batch time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch time 1"]:
        x, _ = enter(self, x, mask=mask, dropout_key=dropout_key)
        embedding, condition = self._steering(x, noise_step, labels, dropout_key)
        x, skips = jax.nn.relu(self.input(x, mask=mask)), []
        for block in self.blocks:
            x, skip = block(x, embedding, condition, mask=mask)
            skips.append(skip)
        return masked(self._head(skips), mask)

    def valid(
        self,
        x: Num[Array, "batch time 1"],
        noise_step: Int[Array, " batch"],
        labels: Labels | None = None,
        *,
        mask: Bool[Array, "batch mask_time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch inner_time 1"]:
        """The outputs that see no padding: `past` fewer at the beginning and `future` fewer at the end."""
        x, _ = enter_with_context(self, x, None, mask, dropout_key)
        embedding, condition = self._steering(x, noise_step, labels, dropout_key)
        size = x.shape[1] - self.receptive_field.past - self.receptive_field.future
        x, skips, there = jax.nn.relu(self.input(x, mask=mask)), [], mask
        # Of the samples that the blocks to come read before the outputs.
        before = self.receptive_field.past
        for block in self.blocks:
            x, skip = block.valid(x, embedding, condition, mask=there)
            there = inner(there, block.receptive_field.past, x)
            before -= block.receptive_field.past
            skips.append(skip[:, before : before + size])
        return masked(self._head(skips), inner(mask, self.receptive_field.past, skips[-1]))

    def init_state(self, batch_size: Size, dtype: DTypeLike = jnp.float32) -> Any:
        require_causal(self.receptive_field, "DiffWave")
        return [block.init_state(batch_size, dtype) for block in self.blocks]

    def step(self, x: Any, state: Any, noise_step: Any, labels: Any = None) -> Any:
        require_causal(self.receptive_field, "DiffWave")
        return self(x, noise_step, labels), state

    def _steering(
        self, x: Array, noise_step: Any, labels: Any, dropout_key: Any
    ) -> tuple[Array, Array | None]:
        """The embeddings of the diffusion step and of the labels, [batch, 1, channels] each."""
        waves = jnp.asarray(_waves(self.config), x.dtype)
        kind, count = getattr(noise_step, "dtype", None), x.shape[0]
        whole = kind is not None and jnp.issubdtype(kind, jnp.integer)
        if not whole or noise_step.shape != (count,):
            raise UserError(
                f"noise_step is {f'{kind} {list(noise_step.shape)}' if kind is not None else repr(noise_step)}, but it "
                f"must be an array of whole numbers, one for each of the {count} signals: jnp.full({count}, 3)"
            )
        steps = jnp.asarray(noise_step, jnp.int32)
        embedding = split_alike(look_up(waves, steps)[:, None], x)
        for layer in self.step_layers:
            embedding = jax.nn.silu(layer(embedding))
        tables, count = self.label_embeddings, x.shape[0]
        return embedding, embedded_labels(self.config, tables, count, labels, dropout_key)

    def _head(self, skips: list[Array]) -> Array:
        total = sum(skips[1:], skips[0]) * len(skips) ** -0.5
        return self.output(jax.nn.relu(self.hidden(jax.nn.relu(total))))


def _waves(config: DiffWaveConfig) -> np.ndarray:
    """[noise_steps, embedding_channels]: cosines and sines of the step, of periods from 2 pi to 2 pi 10,000 steps."""
    half = config.embedding_channels // 2
    rates = 10.0 ** -np.linspace(0.0, 4.0, half)
    angles = np.arange(config.noise_steps)[:, None] * rates
    return np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
