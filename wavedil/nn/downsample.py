"""Learned downsampling: a convolution with a stride."""

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Num, PRNGKeyArray

from wavedil.errors import Size, UserError, require_positive
from wavedil.nn.conv import Conv1d
from wavedil.nn.door import enter, enter_with_context, require_state
from wavedil.nn.layer import initial_state
from wavedil.nn.mask import at_stride, first_valid, inner, masked
from wavedil.ops.devices import reshaped, split_alike
from wavedil.ops.promotion import promoted
from wavedil.receptive_field import ReceptiveField


class Downsample(nnx.Module):
    r"""A causal convolution of which every `factor`-th output is computed.

    y[m] = b + sum_k W[k] x[factor m - (kernel_size - 1 - k)]

        factor=4, kernel_size=6        x    0 1 2 3 4 5 6 7 8 9
                                            |       |       |
                                       y    0       1       2       (y[2] sees samples 3 to 8)

    Output m stands at sample factor m and sees none after it, so that an upsampling layer behind it is causal again:
    `Sequential(Downsample(...), ..., RepeatUpsample(...))` streams without delay.

    `step` takes blocks of any length and gives the outputs whose last sample comes with the block, so that blocks of 10
    samples give three outputs or two. The state is what is there of the samples that the next output sees; how many are
    missing is a matter of its length alone, and so is the number of outputs:

        state    3 4 5        of the next output, at sample 8, which sees 3 to 8
        block    6 7 8 9      one output
        after    7 8 9        of the next one, at sample 12

    Under `jax.jit` it compiles once for each length that comes up, of which there are `factor`. Blocks of a multiple of
    `factor` leave the length as it is, so that `step` can be scanned over them.

    Args:
      in_channels: Channels of the input.
      out_channels: Channels of the output.
      factor: Input samples for each output.
      kernel_size: Taps, at least `factor`, so that every sample is seen; `factor` by default.
      rngs: Source of the initial weights, as in `Conv1d`.

    Shapes:
      __call__: [batch, time, in_channels] -> [batch, ceil(time / factor), out_channels]
      mask:     [batch, time], where a signal begins at a multiple of `factor`.
      state:    [batch, kernel_size - factor to kernel_size - 1, in_channels], oldest sample first.

    Raises:
      UserError: If a size is no whole number of at least 1, or kernel_size is below factor.

    Example:
      >>> Downsample(1, 8, factor=4, kernel_size=8, rngs=nnx.Rngs(0))(jnp.ones((1, 101, 1))).shape
      (1, 26, 8)

    Reference: Springenberg et al. 2015, arXiv:1412.6806: a stride in place of pooling.
    """

    def __init__(
        self,
        in_channels: Size,
        out_channels: Size,
        *,
        factor: Size,
        kernel_size: Size | None = None,
        rngs: nnx.Rngs,
    ) -> None:
        in_channels, out_channels, factor, kernel_size = require_positive(
            in_channels=in_channels,
            out_channels=out_channels,
            factor=factor,
            kernel_size=kernel_size,
        )
        kernel_size = factor if kernel_size is None else kernel_size
        if kernel_size < factor:
            raise UserError(
                f"kernel_size is {kernel_size} and factor {factor}, so no output would see {factor - kernel_size} of "
                f"every {factor} samples; use a kernel_size of at least {factor}"
            )
        self.in_channels, self.factor, self.kernel_size = in_channels, factor, kernel_size
        self.conv = Conv1d(in_channels, out_channels, kernel_size=kernel_size, rngs=rngs)
        self.receptive_field = ReceptiveField.conv(kernel_size, stride=factor)

    def __call__(
        self,
        x: Num[Array, "batch time in_channels"],
        *,
        mask: Bool[Array, "batch time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch out_time out_channels"]:
        x, _ = enter(self, x, mask=mask, dropout_key=dropout_key)
        y = self._convolve(jnp.pad(x, ((0, 0), (self.kernel_size - 1, 0), (0, 0))))
        return masked(y, at_stride(mask, self.receptive_field.stride))

    def valid(
        self,
        x: Num[Array, "batch time in_channels"],
        *,
        mask: Bool[Array, "batch mask_time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch out_time out_channels"]:
        """As of every layer; x begins where an output stands, and so does the signal in it."""
        x, _ = enter_with_context(self, x, mask=mask, dropout_key=dropout_key)
        field: ReceptiveField = self.receptive_field
        first = first_valid(field)
        y = self._convolve(x[:, self.factor * first - field.past :])
        return masked(y, inner(at_stride(mask, field.stride), first, y))

    def init_state(
        self, batch_size: Size, dtype: DTypeLike = jnp.float32
    ) -> Float[Array, "batch past in_channels"]:
        return initial_state(self, batch_size, self.kernel_size - 1, self.in_channels, dtype)

    def step(
        self,
        x: Num[Array, "batch time in_channels"],
        state: Float[Array, "batch seen in_channels"],
    ) -> tuple[Float[Array, "batch out_time out_channels"], Float[Array, "batch left in_channels"]]:
        x, _ = enter(self, x)
        most = self.kernel_size - 1
        given = getattr(state, "shape", ())[1:2] or (most,)
        length = min(max(given[0], self.kernel_size - self.factor), most)
        require_state(self, state, (x.shape[0], length, self.in_channels))
        seen = jnp.concatenate([split_alike(state.astype(x.dtype), x), x], axis=1)
        y = self._convolve(seen)
        return y, seen[:, y.shape[1] * self.factor :].astype(state.dtype)

    def _convolve(self, x: Array) -> Array:
        """The outputs for a signal that begins with the samples of the first of them, as a matmul over frames."""
        # factor 4, kernel_size 6, two outputs. Frames end where outputs stand; of the first one an output sees the end.
        #
        #     x                 a b c d e f g h i j
        #     frames        . . a b|c d e f|g h i j
        #     output 0          a b c d e f
        #     output 1                  e f g h i j
        factor, size, num_channels = self.factor, self.kernel_size, self.in_channels
        num_frames = -(-size // factor)
        missing = num_frames * factor - size
        count = (x.shape[1] - size) // factor + 1
        x = jnp.pad(x, ((0, 0), (missing, 0), (0, 0)))[:, : (count + num_frames - 1) * factor]
        frames = reshaped(x, count + num_frames - 1, factor * num_channels)
        parts = [frames[:, i : i + count] for i in range(num_frames)]
        parts[0] = parts[0][..., missing * num_channels :]
        joined, kernel, bias = promoted(
            jnp.concatenate(parts, axis=-1), self.conv.kernel[...], self.conv.bias_or_zeros()
        )
        out_channels = kernel.shape[-1]
        return joined @ kernel.reshape(size * num_channels, out_channels) + bias[None, None]
