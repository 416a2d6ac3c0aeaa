"""Atrous spatial pyramid pooling: parallel convolutions at several dilations."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Num, PRNGKeyArray

from wavedil.errors import Size, Sizes, UserError, require_positive, require_sizes
from wavedil.nn.conv import LayerPadding
from wavedil.nn.conv2d import conv
from wavedil.nn.door import enter, enter_with_context, require_parts, weights_dtype
from wavedil.nn.layer import require_causal
from wavedil.nn.mask import inner, masked
from wavedil.nn.sequential import Sequential
from wavedil.receptive_field import ReceptiveField


class AtrousPyramid(nnx.Module):
    """Parallel convolutions of three taps at several dilations, whose outputs are summed.

        x -+-> dilated 6  -> ReLU -> 1x1 -> ReLU -> 1x1 -+
           +-> dilated 12 -> ReLU -> 1x1 -> ReLU -> 1x1 -+
           +-> dilated 18 -> ReLU -> 1x1 -> ReLU -> 1x1 -+-> sum -> y
           +-> dilated 24 -> ReLU -> 1x1 -> ReLU -> 1x1 -+

    The sum of the last 1x1 of each is one 1x1 over all branches joined, and is computed so.

    Args:
      in_channels: Channels of the input.
      channels: Channels inside each branch.
      out_channels: Channels of the output.
      num_frequencies: Frequencies of a spectrogram, over which the convolutions run too; None: a signal of frames.
      dilations: Of the branches.
      padding: "same", centred as in the paper, or "causal": of the time axis.
      rngs: Source of the initial weights.

    Shapes:
      __call__: [batch, time, in_channels] -> [batch, time, out_channels], or with num_frequencies
                [batch, time, num_frequencies, in_channels] -> [batch, time, num_frequencies, out_channels]
      state:    of each branch, [batch, 2 dilation, in_channels], or [batch, 2 dilation, num_frequencies, in_channels].

    Raises:
      UserError: If a size is no whole number of at least 1, or there is no dilation.

    Example:
      >>> pyramid = AtrousPyramid(16, 32, 8, rngs=nnx.Rngs(0))
      >>> pyramid.receptive_field.num_taps, pyramid.receptive_field.size
      (9, 49)

    Reference: Chen et al. 2017, arXiv:1606.00915, section 3.2, ASPP-L.
    """

    def __init__(
        self,
        in_channels: Size,
        channels: Size,
        out_channels: Size,
        *,
        num_frequencies: Size | None = None,
        dilations: Sizes = (6, 12, 18, 24),
        padding: LayerPadding = "same",
        rngs: nnx.Rngs,
    ) -> None:
        in_channels, channels, out_channels, num_frequencies = require_positive(
            in_channels=in_channels,
            channels=channels,
            out_channels=out_channels,
            num_frequencies=num_frequencies,
        )
        dilations = require_sizes("dilation", dilations)
        if not dilations:
            raise UserError("dilations is empty; give at least one, such as [6, 12, 18, 24]")
        self.in_channels, self.num_frequencies = in_channels, num_frequencies

        def layer(inputs: int, outputs: int, kernel_size: int = 1, dilation: int = 1) -> Any:
            sizes = {"kernel_size": kernel_size, "dilation": dilation, "padding": padding}
            return conv(inputs, outputs, num_frequencies=num_frequencies, **sizes, rngs=rngs)

        self.branches = nnx.List(
            Sequential(
                layer(in_channels, channels, 3, dilation),
                jax.nn.relu,
                layer(channels, channels),
                jax.nn.relu,
            )
            for dilation in dilations
        )
        self.fusion = layer(len(dilations) * channels, out_channels)
        self.receptive_field = self.branches[0].receptive_field
        for branch in self.branches[1:]:
            self.receptive_field = self.receptive_field.union(branch.receptive_field)

    def __call__(
        self,
        x: Num[Array, "batch time *frequency in_channels"],
        *,
        mask: Bool[Array, "batch time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch time *frequency out_channels"]:
        x, _ = enter(self, x, mask=mask, dropout_key=dropout_key)
        return self._fused([branch(x, mask=mask) for branch in self.branches], mask)

    def valid(
        self,
        x: Num[Array, "batch time *frequency in_channels"],
        *,
        mask: Bool[Array, "batch mask_time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> Float[Array, "batch inner_time *frequency out_channels"]:
        x, _ = enter_with_context(self, x, mask=mask, dropout_key=dropout_key)
        field: ReceptiveField = self.receptive_field
        outputs = []
        for branch in self.branches:
            # What the outputs of this branch see, less than what those of the widest do.
            near: ReceptiveField = branch.receptive_field
            first, end = field.past - near.past, x.shape[1] - (field.future - near.future)
            there = None if mask is None else mask[:, first:end]
            outputs.append(branch.valid(x[:, first:end], mask=there))
        return self._fused(outputs, inner(mask, field.past, outputs[0]))

    def init_state(self, batch_size: Size, dtype: DTypeLike = jnp.float32) -> list[Any]:
        require_causal(self.receptive_field, "AtrousPyramid")
        dtype = weights_dtype(self, dtype)
        return [branch.init_state(batch_size, dtype) for branch in self.branches]

    def step(
        self, x: Num[Array, "batch time *frequency in_channels"], state: list[Any]
    ) -> tuple[Float[Array, "batch time *frequency out_channels"], list[Any]]:
        require_causal(self.receptive_field, "AtrousPyramid")
        x, _ = enter(self, x)
        require_parts(self, state, range(len(self.branches)))
        steps = [branch.step(x, past) for branch, past in zip(self.branches, state, strict=True)]
        return self._fused([y for y, _ in steps], None), [after for _, after in steps]

    def _fused(self, outputs: list[Array], mask: Array | None) -> Array:
        return masked(self.fusion(jnp.concatenate(outputs, axis=-1)), mask)
