"""A stack at a lower rate with a long receptive field, whose output conditions a stack at the sample rate."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Num, PRNGKeyArray

from wavedil.errors import Size, Sizes, require_positive
from wavedil.nn.conv import Conv1d
from wavedil.nn.dilated_stack import DilatedStack
from wavedil.nn.door import enter, enter_with_context, require_parts, require_state
from wavedil.nn.layer import initial_state
from wavedil.nn.mask import inner, masked
from wavedil.ops.devices import reshaped, split_alike
from wavedil.receptive_field import ReceptiveField


class ContextStack(nnx.Module):
    """Gated blocks over frames of `factor` samples, each output held until the next frame is complete.

    It costs a `factor`-th of a stack at the sample rate and its receptive field is `factor` times as long. Its output
    is a condition for a `DilatedStack`, whose own receptive field may then be short:

        near(x, condition=far(x))

        factor=4        x      0 1 2 3 | 4 5 6 7 | 8 9 ...
                        frame     0         1
                        y      . . . a   a a a b   b b       (a sees samples 0 to 3, b those to 7)

    Before the first frame is complete, the output is zero.

    Args:
      in_channels: Channels of the input.
      channels: Channels of the blocks; usually fewer than those of the stack that it conditions.
      out_channels: Channels of the output.
      factor: Samples of a frame.
      kernel_size: Taps of every block, in frames.
      dilations: Frames between taps, block by block.
      cycles: How often the list is repeated.
      rngs: Source of the initial weights.

    Shapes:
      __call__: [batch, time, in_channels] -> [batch, time, out_channels]
      state:    {"samples": [batch, factor - 1, in_channels], the newest; "phase": [], how many of them are of the
                frame under way; "held": [batch, 1, out_channels], of the last complete frame; "stack": ...}

    Raises:
      UserError: If a size is no whole number of at least 1.

    Example:
      >>> far = ContextStack(8, 16, 8, factor=64, dilations=[1, 2, 4, 8], rngs=nnx.Rngs(0))
      >>> far.receptive_field.size        # 16 frames, and up to 63 samples since the last of them
      1087

    Reference: van den Oord et al. 2016, arXiv:1609.03499, section 2.6.
    """

    def __init__(
        self,
        in_channels: Size,
        channels: Size,
        out_channels: Size,
        *,
        factor: Size,
        kernel_size: Size = 2,
        dilations: Sizes = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
        cycles: Size = 1,
        rngs: nnx.Rngs,
    ) -> None:
        in_channels, channels, out_channels, factor = require_positive(
            in_channels=in_channels, channels=channels, out_channels=out_channels, factor=factor
        )
        self.in_channels, self.factor = in_channels, factor
        self.frames = Conv1d(factor * in_channels, channels, kernel_size=1, rngs=rngs)
        self.stack = DilatedStack(
            channels,
            out_channels,
            kernel_size=kernel_size,
            dilations=dilations,
            cycles=cycles,
            rngs=rngs,
        )
        frame = ReceptiveField.conv(factor, stride=factor, padding="valid")
        held = ReceptiveField.upsample(factor).then(ReceptiveField.delay(factor - 1))
        self.receptive_field = frame.then(self.stack.receptive_field).then(held)
        self._out_channels = out_channels

    def __call__(
        self,
        x: Num[Array, "batch time in_channels"],
        *,
        mask: Bool[Array, "batch time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch time out_channels"]:
        """As of every layer; a signal in x begins with a frame."""
        x, _ = enter(self, x, mask=mask, dropout_key=dropout_key)
        # One frame too many, whose output nothing sees, so that there always is one.
        num_samples = x.shape[1]
        missing = (num_samples // self.factor + 1) * self.factor - num_samples
        frames = self.enter(jnp.pad(x, ((0, 0), (0, missing), (0, 0))))
        there = None if mask is None else jnp.pad(mask, ((0, 0), (0, missing)))[:, :: self.factor]
        _, y = self.stack(frames, mask=there, dropout_key=dropout_key)
        # Sample t has the output of the last frame that is complete with it, (t + 1) // factor - 1:
        #
        #     t                0  1  2  3  4  5  6  7          factor 4
        #     repeated         .  .  .  .  a  a  a  a  b       after a frame of zeros
        #     held: from 1     .  .  .  a  a  a  a  b          sample 3 completes frame a
        held = jnp.repeat(jnp.pad(y, ((0, 0), (1, 0), (0, 0))), self.factor, axis=1)
        return masked(held[:, 1 : 1 + num_samples], mask)

    def valid(
        self,
        x: Num[Array, "batch time in_channels"],
        *,
        mask: Bool[Array, "batch mask_time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch inner_time out_channels"]:
        """As of every layer; x begins with a frame, and so does the signal in it."""
        factor, past = self.factor, self.receptive_field.past
        x, _ = enter_with_context(self, x, mask=mask, dropout_key=dropout_key)
        num_samples, num_frames = x.shape[1], x.shape[1] // self.factor
        there = None if mask is None else mask[:, ::factor][:, :num_frames]
        frames = self.enter(x[:, : num_frames * factor])
        # Before its first frame is complete a signal has the output zero, as where there is none.
        _, y = self.stack.valid(frames, mask=there, dropout_key=dropout_key)
        first = num_frames - y.shape[1]
        # Sample t has the output of frame (t + 1) // factor - 1; the repeated ones begin at that of frame `first`,
        # which sample (first + 1) factor - 1 completes.
        held = jnp.repeat(y, factor, axis=1)
        skipped = past - ((first + 1) * factor - 1)
        y = held[:, skipped : skipped + num_samples - past]
        return masked(y, inner(mask, past, y))

    def init_state(self, batch_size: Size, dtype: DTypeLike = jnp.float32) -> dict[str, Any]:
        samples = initial_state(self, batch_size, self.factor - 1, self.in_channels, dtype)
        return {
            "samples": samples,
            "phase": jnp.zeros((), jnp.int32),
            "held": jnp.zeros((samples.shape[0], 1, self._out_channels), samples.dtype),
            "stack": self.stack.init_state(batch_size, samples.dtype),
        }

    def step(
        self, x: Num[Array, "batch time in_channels"], state: dict[str, Any]
    ) -> tuple[Float[Array, "batch time out_channels"], dict[str, Any]]:
        x, _ = enter(self, x)
        require_parts(self, state, ("samples", "phase", "held", "stack"))
        require_state(self, state["samples"], (x.shape[0], self.factor - 1, x.shape[2]))
        factor, num_samples, phase = self.factor, x.shape[1], state["phase"]
        # How many frames a block completes depends on where the last one ended: one of two numbers.
        fewest, most = num_samples // factor, -(-num_samples // factor)
        completed = (phase + num_samples) // factor
        # The frame under way began `phase` samples before the block; from there on samples are cut into
        # frames. An incomplete last one is filled with zeros and not run.
        #
        #     samples    . p p | x x x x x x        factor 4, so 3 in the state; phase 2
        #     frames       |-------|-------|
        seen = jnp.concatenate([split_alike(state["samples"].astype(x.dtype), x), x], axis=1)
        ahead = jnp.pad(seen, ((0, 0), (0, factor), (0, 0)))
        frames = lax.dynamic_slice_in_dim(ahead, factor - 1 - phase, most * factor, axis=1)
        y, stack = lax.cond(
            completed == most,
            self._run(most, most),
            self._run(fewest, most),
            frames,
            state["stack"],
        )
        # Entry n is the output held after n more frames; outputs that were not run are never reached.
        held = jnp.concatenate([split_alike(state["held"].astype(y.dtype), x), y], axis=1)
        last = lax.dynamic_slice_in_dim(held, completed, 1, axis=1)
        # In the types in which they came, so that they can be carried through a loop.
        after = {
            "samples": seen[:, num_samples:].astype(state["samples"].dtype),
            "phase": (phase + num_samples) % factor,
            "held": last.astype(state["held"].dtype),
            "stack": stack,
        }
        return held[:, (phase + 1 + jnp.arange(num_samples, dtype=phase.dtype)) // factor], after

    def enter(self, x: Array) -> Array:
        """Complete frames of samples as the blocks take them: the samples of each joined in its channels."""
        _, num_samples, num_channels = x.shape
        return self.frames(reshaped(x, num_samples // self.factor, self.factor * num_channels))

    def _run(self, count: int, most: int) -> Callable[[Array, Any], tuple[Array, Any]]:
        """The stack over the first `count` of `most` frames, and its state after them."""

        def run(frames: Array, state: Any) -> tuple[Array, Any]:
            (_, y), state = self.stack.step(self.enter(frames[:, : count * self.factor]), state)
            return jnp.pad(y, ((0, 0), (0, most - count), (0, 0))), state

        return run
