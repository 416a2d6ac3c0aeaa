"""From features, a frame every `hop` samples, to a condition at every sample."""

import math

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from wavedil.errors import UserError
from wavedil.frames import num_frames
from wavedil.models.local_conditioning import LocalConditioningConfig
from wavedil.nn import Conv1d, RepeatUpsample, SubPixelUpsample
from wavedil.pitch import PitchConfig
from wavedil.receptive_field import ReceptiveField


class FeatureUpsampler(nnx.Module):
    """Features brought to the sample rate in learned stages.

        frames -> conv over frames -> ReLU -> 1x1 -> upsample by 2 to 5 -> upsample ... -> samples

    A sample sees its own frame and at most `lookaround_frames` on either side, so a change of frame i changes
    samples `(i - lookaround_frames) hop .. (i + 1 + lookaround_frames) hop - 1` and no others. With sub-pixels it
    changes all of them; a repetition's smoothing takes its part of the outermost frames. With hop 4, context 1:

        frame               0          1          2          3
        samples       0  1  2  3 | 4  5  6  7 | 8  9 10 11 |12 ...
        seen by 6     [----------------------------------]           frames 0 to 2

    It looks into the future, and a stream's samples wait for that many frames; the network it conditions
    remains causal in its samples.

    Args:
      config: Sizes.
      rngs: Source of the initial weights.

    Shapes:
      __call__: features [batch, frames, num_features] -> [batch, num_samples, channels]

    Raises:
      UserError: When called, if there are not as many frames or numbers in a frame as there should be.
    """

    def __init__(self, config: LocalConditioningConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        num_features, self.hop = config.sizes
        # Smoothing reaches less than a frame further; there, frames are upsampled and then cut away.
        self.edge = 1 if config.upsampling == "repeat" else 0
        reach = config.lookaround_frames - self.edge
        # At the rate of frames a wide layer costs next to nothing at each sample.
        wide = 4 * config.channels
        self.frames = Conv1d(
            num_features, wide, kernel_size=2 * reach + 1, padding="same", rngs=rngs
        )
        self.mix = Conv1d(wide, config.channels, kernel_size=1, rngs=rngs)
        self.stages = nnx.List(_stage(config, factor, rngs) for factor in stage_factors(self.hop))
        field = self.frames.receptive_field
        for stage in self.stages:
            field = field.then(stage.receptive_field)
        self.receptive_field: ReceptiveField = field

    def __call__(
        self, features: Float[Array, "batch frames features"], num_samples: int
    ) -> Float[Array, "batch time channels"]:
        """The condition of the samples; see `Conditioning.upsample`."""
        features = self._with_context(features, num_samples)
        if self.config.pitch is not None:
            # Before the type is that of the weights, which may not have every period.
            features = _with_scaled_pitch(features, self.config.pitch)
        features = features.astype(self.frames.kernel.dtype)
        if self.config.mel is not None:
            # From 0 .. 1 to a deviation of about 1 around 0, with which they are learnt in far fewer steps.
            features = 4.0 * features - 2.0
        reach = self.config.lookaround_frames - self.edge
        wide = self.frames(features)[:, reach : features.shape[1] - reach]
        x = self.mix(jax.nn.relu(wide))
        for stage in self.stages:
            x = stage(x)
        start = self.edge * self.hop
        return x[:, start : start + num_samples]

    def _with_context(self, features: Array, num_samples: int) -> Array:
        """The frames with `lookaround_frames` on either side: zeros, unless they are there."""
        config = self.config
        frames = num_frames(num_samples, self.hop)
        batch_size, given, num_features = features.shape
        if num_features != config.num_features or given not in (
            frames,
            frames + 2 * config.lookaround_frames,
        ):
            raise UserError(
                f"features have shape [{batch_size}, {given}, {num_features}], but {num_samples} samples take "
                f"[{batch_size}, {frames}, {config.num_features}], a frame every {self.hop} samples, or "
                f"{config.lookaround_frames} frames more on either side; compute them with the model's settings"
            )
        if given > frames:
            return features
        return jnp.pad(
            features, ((0, 0), (config.lookaround_frames, config.lookaround_frames), (0, 0))
        )


def _with_scaled_pitch(features: Array, settings: PitchConfig) -> Array:
    """Features whose period, the last number but one, goes from 0 for the shortest to 1 for the longest, by octaves."""
    shortest, longest = settings.shortest_period, settings.longest_period
    spectra, period, voicing = features[..., :-2], features[..., -2:-1], features[..., -1:]
    octaves = jnp.log2(jnp.clip(period, shortest, longest) / shortest)
    return jnp.concatenate([spectra, octaves / math.log2(longest / shortest), voicing], axis=2)


def stage_factors(hop: int) -> tuple[int, ...]:
    """Factors of 2 to 5 in ascending order whose product is hop, as far as its prime factors allow."""
    primes, rest, prime = [], hop, 2
    while rest > 1:
        while rest % prime == 0:
            primes.append(prime)
            rest //= prime
        prime += 1
    twos = primes.count(2)
    return tuple(sorted([4] * (twos // 2) + [2] * (twos % 2) + primes[twos:]))


def _stage(
    config: LocalConditioningConfig, factor: int, rngs: nnx.Rngs
) -> RepeatUpsample | SubPixelUpsample:
    channels = config.channels
    if config.upsampling == "subpixel":
        return SubPixelUpsample(channels, channels, factor=factor, rngs=rngs)
    return RepeatUpsample(channels, channels, factor=factor, padding="same", rngs=rngs)
