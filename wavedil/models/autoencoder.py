"""A WaveNet autoencoder: sound to latents, and a WaveNet that makes sound of them again."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, PRNGKeyArray

from wavedil.errors import UserError
from wavedil.frames import BEYOND, num_frames
from wavedil.models.autoencoder_config import AutoencoderConfig
from wavedil.models.conditioning import Labels
from wavedil.models.encoder import Encoder
from wavedil.models.wavenet import WaveNet
from wavedil.mu_law import in_range
from wavedil.nn.door import weights_dtype
from wavedil.receptive_field import ReceptiveField


class Autoencoder(nnx.Module):
    """Sound conditioned on latents that are learned with it, `latent_size` numbers every `hop` samples.

        sound ---> encoder ---> latents ---> decoder, a WaveNet ---> parameters of every sample
          '---------- the samples before it ---------^

    The decoder is a vocoder whose features are the latents, so whatever takes a vocoder takes the decoder with the
    latents of a sound:

        log p(x) = sum_t log p(x[t] | x[< t], encoder(x))

    This is no likelihood of x, for the latents know it; it is what the latents leave to be said.

    Args:
      config: Sizes of the encoder and the decoder.
      rngs: Source of the initial weights.

    Example:
      >>> model = Autoencoder(AutoencoderConfig(decoder=WaveNetConfig.tiny()), rngs=nnx.Rngs(0))
      >>> codes = jnp.zeros((1, 1000), jnp.int32)
      >>> model.encode(codes).shape, model.log_prob(codes).shape
      ((1, 2, 16), (1, 1000))
      >>> again = generate(model, jax.random.key(0), features=model.encode(codes))

    Reference: Engel et al. 2017, arXiv:1704.01279.
    """

    config_class: ClassVar[type[AutoencoderConfig]] = AutoencoderConfig
    hidden_kernels: ClassVar[tuple[str, ...]] = (
        "encoder.layers",
        *(f"decoder.{name}" for name in WaveNet.hidden_kernels),
    )
    """As `WaveNet.hidden_kernels`."""

    def __init__(self, config: AutoencoderConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config = config.complete()
        self.encoder = Encoder(config.encoder, rngs=rngs)
        self.decoder = WaveNet(config.decoder, rngs=rngs)

    @property
    def receptive_field(self) -> ReceptiveField:
        """The decoder's receptive field over the samples before, beside the latents."""
        return self.decoder.receptive_field

    @property
    def num_parameters(self) -> int:
        """Trained numbers, the encoder's and the decoder's."""
        return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(self, nnx.Param)))

    def encode(self, codes: Int[Array, "batch time"]) -> Float[Array, "batch frames latent_size"]:
        """The latents of whole sounds, given as codes: frame i of samples `i hop .. (i + 1) hop - 1`."""
        hop, context = self.encoder.hop, self.config.encoder.lookaround_frames
        missing = hop * num_frames(codes.shape[1], hop) - codes.shape[1]
        beyond = ((0, 0), (context * hop, missing + context * hop))
        samples = jnp.pad(codes.astype(jnp.int32), beyond, constant_values=BEYOND)
        return self.encode_frames(samples.reshape(codes.shape[0], -1, hop))

    def encode_frames(
        self, frames: Int[Array, "batch frames hop"]
    ) -> Float[Array, "batch inner_frames latent_size"]:
        """The latents of a stretch of a sound, as they are in the whole of it.

        Args:
          frames: Levels of the samples, as `frames.sound_frames` cuts them: the frames to encode and
            `encoder.lookaround_frames` more on either side; BEYOND where the sound has none, which is silence. A frame
            that lies beyond it altogether has the latent zero, as has everything beyond a vocoder's features.
        """
        context, field = self.config.encoder.lookaround_frames, self.config.encoder.layers_field
        batch_size, given, hop = frames.shape
        if hop != self.encoder.hop or given <= 2 * context:
            raise UserError(
                f"frames have shape {frames.shape}, but they must hold {self.encoder.hop} samples each and be "
                f"more than {2 * context}, {context} on either side of those to encode; cut them with sound_frames"
            )
        silence = self.config.quantizer.silence
        # As the levels lie, -1 to 1: of mu-law levels a quiet sound is heard too, as in the paper.
        level = (frames - silence).astype(jnp.float32) / silence
        level = jnp.where(in_range(frames, self.config.levels), level, jnp.nan)
        samples = jnp.where(frames == BEYOND, 0.0, level).reshape(batch_size, -1, 1)
        first = context * hop - field.past
        samples = samples.astype(weights_dtype(self.encoder))
        encoded = self.encoder.valid(samples[:, first : (given - context) * hop + field.future])
        there = jnp.any(frames[:, context : given - context] != BEYOND, axis=-1, keepdims=True)
        return jnp.where(there, encoded, 0.0)

    def log_prob(
        self,
        codes: Int[Array, "batch time"],
        labels: Labels | None = None,
        context: Int[Array, "batch context_time"] | None = None,
        features: Int[Array, "batch frames hop"] | None = None,
        *,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch time"]:
        """Log-probability in nats of every sample given those before it and the latents of the sound.

        Args:
          codes: Samples.
          labels: Values or rows of the labels, unlabelled by default.
          context: The samples before, where the codes are cut out of a longer sound; see `WaveNet.log_prob`.
          features: The frames of the sound itself that the samples and their context lie in, with
            `config.lookaround_frames` more on either side (`frames.sound_frames`), where the samples are cut out of a
            longer sound.
          dropout_key: As in a call of the decoder.
        """
        latents = self.encode(codes) if features is None else self.encode_frames(features)
        return self.decoder.log_prob(codes, labels, context, latents, dropout_key=dropout_key)
