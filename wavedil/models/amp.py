"""The feed-forward WaveNet of Neural Amp Modeler: dry signal in, the sound of an amp out."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import ArrayLike, DTypeLike
from jaxtyping import Array, Bool, Float, Num, PRNGKeyArray

from wavedil.errors import Size, UserError, require_whole
from wavedil.models.amp_config import AmpModelConfig
from wavedil.models.amp_layers import AmpArray, Convolve, activate, with_bias
from wavedil.models.weights import named_weights, with_weights
from wavedil.nn import Conv1d
from wavedil.nn.door import enter, enter_with_context, require_parts, require_state, weights_dtype
from wavedil.nn.mask import inner, masked
from wavedil.ops import dilated_conv
from wavedil.ops.devices import split_alike

Knobs = Mapping[str, Any]
"""Name of a knob -> its setting, a number for all signals or an array of one for each."""


class AmpModel(nnx.Module):
    """The sound of an amplifier or effect: arrays of dilated causal layers that are conditioned on the dry signal.

        dry --+--> rechannel --> layer --> layer ... --> next array      layer:  z = conv(y) + mixin(c)
              |                    |          |                                  a = act(z)
              +--> condition c     +--> head sum --> head --> next array's       y += layer1x1(a)     sum += a
                                                                                 output: head_scale * the last head

    A sound begins after endless silence: every convolution begins with the constant that silence at the model's input
    leaves before it, computed from the weights. Where a mask is False, too, there is silence at the input.

    Args:
      config: Sizes and features.
      rngs: Source of the initial weights.

    Shapes:
      __call__: [batch, time, in_channels] -> [batch, time, out_channels]
      state:    one [batch, past, channels] for each convolution, as `config.memory` lists them, oldest sample first.

    Weights, each a Conv1d with kernel [taps, in, out]; `AmpLayer` says which a layer has:

        condition                  None, or a model of its own
        arrays[i].rechannel        no bias
        arrays[i].layers[j]        conv, mixin, knobs, layer1x1, head1x1, eight FiLMs
        arrays[i].head             its bias may be None
        head[j]                    convolutions after the arrays

    Raises:
      UserError: By `AmpModelConfig`; when called, if a knob is missing, unknown or outside its range.

    Example:
      >>> model = AmpModel(AmpModelConfig.nano(), rngs=nnx.Rngs(0))
      >>> model(jnp.zeros((1, 100, 1))).shape
      (1, 100, 1)

    Reference: Atkinson, Neural Amp Modeler, github.com/sdatkinson/neural-amp-modeler; Wright et al. 2020,
    "Real-time guitar amplifier emulation with deep learning", doi:10.3390/app10030766.
    """

    config_class: ClassVar[type[AmpModelConfig]] = AmpModelConfig
    hidden_kernels: ClassVar[tuple[str, ...]] = ("arrays.", "condition.arrays.")

    def __init__(self, config: AmpModelConfig, *, rngs: nnx.Rngs) -> None:
        self.config, self.in_channels = config, config.in_channels
        self.condition = None if config.condition is None else AmpModel(config.condition, rngs=rngs)
        arrays, in_channels = [], config.in_channels
        for array in config.arrays:
            sizes = in_channels, config.condition_size, len(config.knobs)
            arrays.append(AmpArray(array, *sizes, rngs=rngs))
            in_channels = array.channels
        self.arrays = nnx.List(arrays)
        head, channels = [], config.arrays[-1].head_channels
        kernel_sizes = () if config.head is None else config.head.kernel_sizes
        for number, size in enumerate(kernel_sizes, 1):
            last = number == len(kernel_sizes)
            outputs = config.out_channels if last else config.head.channels  # type: ignore[union-attr]
            head.append(Conv1d(channels, outputs, kernel_size=size, rngs=rngs))
            channels = outputs
        self.head = nnx.List(head)
        self.receptive_field = config.receptive_field

    def __call__(
        self,
        x: Num[Array, "batch time in_channels"],
        *,
        knobs: Knobs | None = None,
        mask: Bool[Array, "batch time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch time out_channels"]:
        x, _ = enter(self, x, mask=mask, dropout_key=dropout_key)
        setting = self._setting(knobs, x.shape[0])
        silence = self._silence(x.dtype, setting)
        y, _ = self._stream(x, self._begin(silence, x), setting, _silenced(silence, x, mask))
        return masked(y, mask)

    def valid(
        self,
        x: Num[Array, "batch time in_channels"],
        *,
        knobs: Knobs | None = None,
        mask: Bool[Array, "batch mask_time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch inner_time out_channels"]:
        x, _ = enter_with_context(self, x, None, mask, dropout_key)
        setting = self._setting(knobs, x.shape[0])
        silent = _silenced(None if mask is None else self._silence(x.dtype, setting), x, mask)

        def convolve(conv: Conv1d, y: Array) -> Array:
            return dilated_conv(next(silent)(y), conv.kernel[...], conv.dilation, "valid")

        y = self._run(x, setting, convolve)
        return masked(y, inner(mask, self.receptive_field.past, y))

    def init_state(
        self, batch_size: Size, dtype: DTypeLike = jnp.float32, *, knobs: Knobs | None = None
    ) -> list[Float[Array, "batch past channels"]]:
        batch_size = require_whole("batch_size", batch_size, least=0)
        silence = self._silence(weights_dtype(self, dtype), self._setting(knobs, batch_size))
        return self._begin(silence, jnp.zeros((batch_size, 0)))

    def step(
        self,
        x: Num[Array, "batch time in_channels"],
        state: list[Float[Array, "batch past channels"]],
        *,
        knobs: Knobs | None = None,
    ) -> tuple[Float[Array, "batch time out_channels"], list[Float[Array, "batch past channels"]]]:
        x, _ = enter(self, x)
        memory = self.config.memory
        require_parts(self, state, range(len(memory)))
        for part, of_one in zip(state, memory, strict=True):
            require_state(self, part, (x.shape[0], *of_one))
        return self._stream(x, state, self._setting(knobs, x.shape[0]), _silenced(None, x, None))

    def at(self, knobs: Knobs) -> "AmpModel":
        """The model at a setting of its knobs, which are folded into the biases: it has none, and the same outputs."""
        setting = self._setting(knobs, 1)
        weights: dict[str, ArrayLike] = {
            name: weight for name, weight in named_weights(self).items() if ".knobs." not in name
        }
        for i, array in enumerate(self.arrays):
            for j, layer in enumerate(array.layers):
                weights[f"arrays.{i}.layers.{j}.conv.bias"] = layer.shifted_bias(setting)[0, 0]
        config = dataclasses.replace(self.config, knobs=())
        abstract = nnx.eval_shape(lambda: AmpModel(config, rngs=nnx.Rngs(0)))
        return with_weights(abstract, weights, "the model with knobs")

    def _run(self, x: Array, setting: Array | None, convolve: Convolve) -> Array:
        """The network, whose convolutions are asked for in the order of `config.memory`."""
        condition = x if self.condition is None else self.condition._run(x, None, convolve)
        y, heads = x, None
        for array in self.arrays:
            y, heads = array(y, condition, heads, setting, convolve)
        assert heads is not None
        heads = self.config.head_scale * heads
        for conv in self.head:
            activation = self.config.head.activation  # type: ignore[union-attr]
            heads = with_bias(conv, convolve(conv, activate(activation, heads)))
        return heads

    def _silence(self, dtype: Any, setting: Array | None) -> list[Array]:
        """What every convolution sees of endless silence, [1 or batch, 1, channels]."""
        seen = []

        def convolve(conv: Conv1d, y: Array) -> Array:
            seen.append(y)
            return dilated_conv(y, jnp.sum(conv.kernel[...], axis=0, keepdims=True))

        self._run(jnp.zeros((1, 1, self.in_channels), dtype), setting, convolve)
        return seen

    def _begin(self, silence: list[Array], x: Array) -> list[Array]:
        """The state after endless silence."""
        pasts = [past for past, _ in self.config.memory]
        return [
            split_alike(jnp.broadcast_to(seen, (x.shape[0], past, seen.shape[2])), x)
            for seen, past in zip(silence, pasts, strict=True)
        ]

    def _stream(
        self, x: Array, state: list[Array], setting: Array | None, silent: Iterator[Any]
    ) -> tuple[Array, list[Array]]:
        after, pasts = [], iter(state)

        def convolve(conv: Conv1d, y: Array) -> Array:
            y, past = next(silent)(y), next(pasts)
            extended = jnp.concatenate([split_alike(past.astype(y.dtype), y), y], axis=1)
            # In its own type, so that it can be carried through a loop.
            after.append(extended[:, y.shape[1] :].astype(past.dtype))
            return dilated_conv(extended, conv.kernel[...], conv.dilation, "valid")

        return self._run(x, setting, convolve), after

    def _setting(self, knobs: Knobs | None, batch_size: int) -> Array | None:
        """Knobs from -1 at the lowest to 1 at the highest setting, [batch or 1, 1, knobs]; None of a model without."""
        ranges = {knob.knob: (knob.least, knob.most) for knob in self.config.knobs}
        given = {} if knobs is None else dict(knobs)
        if given.keys() != ranges.keys():
            known = ", ".join(
                f"{name} ({low:g} to {high:g})" for name, (low, high) in ranges.items()
            )
            raise UserError(
                f"knobs {', '.join(given)} are set, but this model has none; leave them out"
                if not ranges
                else f"knobs set are {', '.join(given) or 'none'}, but this model has {known}; set each of them"
            )
        if not ranges:
            return None
        settings = [_scaled(name, given[name], *ranges[name], batch_size) for name in ranges]
        return jnp.stack(jnp.broadcast_arrays(*settings), axis=-1)[:, None]


def _scaled(name: str, value: Any, low: float, high: float, batch_size: int) -> Array:
    """A knob's setting between -1 and 1, [1 or batch]."""
    if np.shape(value) not in ((), (batch_size,)):
        raise UserError(
            f"knob {name} has shape {list(np.shape(value))}; give a number, or one for each of {batch_size} signals"
        )
    if not isinstance(value, jax.core.Tracer):  # whose number is not known
        try:
            number = np.asarray(value, np.float64)
        except (TypeError, ValueError):
            raise UserError(f"knob {name} is {value!r}, but it must be a number") from None
        # The ends of the range may have been rounded to float32.
        slack = 1e-6 * (high - low)
        if not ((number >= low - slack) & (number <= high + slack)).all():
            raise UserError(
                f"knob {name} is {value}, but it was trained from {low:g} to {high:g}; set it within that range"
            )
    setting = jnp.atleast_1d(jnp.asarray(value, jnp.float32))
    return (2 * setting - (low + high)) / (high - low)


def _silenced(silence: list[Array] | None, x: Array, mask: Any) -> Iterator[Any]:
    """For one convolution after the other: what it sees of a signal, silence where there is none."""
    if mask is None or silence is None:
        while True:
            yield lambda y: y
    missing = ((0, 0), (0, x.shape[1] - mask.shape[1]))
    there = jnp.pad(split_alike(mask, x), missing, constant_values=True)[..., None]
    for seen in silence:
        yield lambda y, seen=seen: jnp.where(there[:, x.shape[1] - y.shape[1] :], y, seen)
