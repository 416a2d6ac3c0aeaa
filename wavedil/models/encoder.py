"""The encoder of an autoencoder: from sound to a latent every `hop` samples."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Num, PRNGKeyArray

from wavedil.errors import UserError
from wavedil.frames import num_frames
from wavedil.models.autoencoder_config import EncoderConfig
from wavedil.nn import Conv1d
from wavedil.nn.door import enter
from wavedil.nn.layer import require_causal
from wavedil.nn.mask import at_stride, inner, masked
from wavedil.receptive_field import ReceptiveField


class EncoderLayer(nnx.Module):
    """A residual layer that looks both ways: `x + W_1 relu(W_d * relu(x))`, W_d dilated and centred.

    Shapes:
      __call__: [batch, time, channels] -> [batch, time - past - future, channels], those that see no end of x.
    """

    def __init__(self, channels: int, *, kernel_size: int, dilation: int, rngs: nnx.Rngs) -> None:
        self.conv = Conv1d(
            channels,
            channels,
            kernel_size=kernel_size,
            dilation=dilation,
            padding="same",
            rngs=rngs,
        )
        self.mix = Conv1d(channels, channels, kernel_size=1, rngs=rngs)

    def __call__(
        self, x: Float[Array, "batch time channels"]
    ) -> Float[Array, "batch inner_time channels"]:
        field = self.conv.receptive_field
        inner = x[:, field.past : x.shape[1] - field.future]
        return inner + self.mix(jax.nn.relu(self.conv.valid(jax.nn.relu(x))))


class Encoder(nnx.Module):
    """A latent for every `hop` samples of sound, from dilated convolutions that look both ways.

        sound -> conv -> residual layers -> 1x1 -> mean over hop samples -> latents

    Outside the sound there is silence, zero: the sound is extended by what the layers see, and no layer pads, nor is
    one given a mask, so that a stretch of sound with its surroundings (`valid`) has the latents that it has in the
    whole. With hop 4 and layers that see 3 samples either way:

        samples           0  1  2  3 | 4  5  6  7 | 8  9 10 11 |12 ...
        covered by 1                   [--------]
        seen by 1            [---------------------------]           samples 1 to 10

    Args:
      config: Complete sizes, as `EncoderConfig.at` makes them.
      rngs: Source of the initial weights.

    Shapes:
      __call__: [batch, time, 1] -> [batch, ceil(time / hop), latent_size]

    Raises:
      UserError: If the settings leave the hop open.

    Reference: Engel et al. 2017, arXiv:1704.01279, section 2.1.
    """

    def __init__(self, config: EncoderConfig, *, rngs: nnx.Rngs) -> None:
        self.config, self.in_channels = config, 1
        self.hop = config.require_hop()
        channels, kernel_size = config.channels, config.kernel_size
        self.input = Conv1d(1, channels, kernel_size=kernel_size, padding="same", rngs=rngs)
        self.layers = nnx.List(
            EncoderLayer(channels, kernel_size=kernel_size, dilation=dilation, rngs=rngs)
            for dilation in config.layer_dilations
        )
        self.output = Conv1d(channels, config.latent_size, kernel_size=1, rngs=rngs)
        self.receptive_field: ReceptiveField = config.receptive_field

    def __call__(
        self,
        x: Num[Array, "batch time 1"],
        *,
        mask: Bool[Array, "batch time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch frames latent_size"]:
        x, _ = enter(self, x, mask=mask, dropout_key=dropout_key)
        field = self.config.layers_field
        missing = self.hop * num_frames(x.shape[1], self.hop) - x.shape[1]
        y = self.valid(jnp.pad(x, ((0, 0), (field.past, field.future + missing), (0, 0))))
        return masked(y, at_stride(mask, self.receptive_field.stride))

    def valid(
        self,
        x: Num[Array, "batch time 1"],
        *,
        mask: Bool[Array, "batch mask_time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch frames latent_size"]:
        """The latents of a stretch of sound, complete frames, that comes with what the layers see on either side.

        [batch, past + frames hop + future, 1] -> [batch, frames, latent_size], the past and future of
        `config.layers_field`.
        """
        x, _ = enter(self, x, mask=mask, dropout_key=dropout_key, valid=True)
        field = self.config.layers_field
        seen = field.past + field.future
        if x.shape[1] and (x.shape[1] < seen or (x.shape[1] - seen) % self.hop):
            raise UserError(
                f"x has {x.shape[1]} samples, but valid latents are of complete frames with {field.past} samples "
                f"before and {field.future} after them; give {seen} and a multiple of {self.hop}"
            )
        x = self.input.valid(x)
        for layer in self.layers:
            x = layer(x)
        x = self.output(x)
        batch_size, num_samples, latent_size = x.shape
        y = x.reshape(batch_size, num_samples // self.hop, self.hop, latent_size).mean(axis=2)
        # Sample `past` is the first of frame 0.
        there = inner(mask, field.past, x)
        return masked(y, at_stride(there, self.receptive_field.stride))

    def init_state(self, batch_size: int, dtype: DTypeLike = jnp.float32) -> None:
        """Refuses: a latent is made of samples that are yet to come."""
        require_causal(self.receptive_field, "Encoder")
