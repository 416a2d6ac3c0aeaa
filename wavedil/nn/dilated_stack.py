"""A stack of gated blocks whose dilation grows."""

import functools
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Num, PRNGKeyArray

from wavedil.errors import Size, Sizes, UserError, require_bool, require_positive, require_sizes
from wavedil.nn.door import enter, enter_with_context, require_parts, weights_dtype
from wavedil.nn.dropout import dropout, keys_of
from wavedil.nn.gated_block import Condition, GatedBlock, is_local
from wavedil.nn.layer import normal
from wavedil.nn.mask import inner, masked
from wavedil.ops import gated_stack
from wavedil.ops.promotion import promoted
from wavedil.receptive_field import ReceptiveField

State = list[Float[Array, "batch _ channels"]]


class DilatedStack(nnx.Module):
    """Gated blocks in a row, their skip outputs summed.

    The dilations 1, 2, 4 ... 512 of one cycle see 1024 samples with kernel
    size 2; a cycle more adds 1023. The skip weights of all blocks are one
    matrix, so that one matmul serves them all.

    Args:
      channels: Channels of the signal in all blocks.
      skip_channels: Channels of the summed skip output.
      kernel_size: Taps of every block, at least 1.
      dilations: Samples between taps, block by block: any list.
      cycles: How often the list is repeated.
      condition_channels: Channels of the condition, or None for a stack without one.
      gate_channels: Channels of every gated activation; None: as many as the signal has.
      activation: Name of the function in the place of tanh, as in `GatedBlock`.
      gate: That in the place of sigmoid.
      dropout: Share of every convolution's input that is dropped where there is a `dropout_key`, 0 to below 1; then
        the backward pass is JAX's own, which takes longer and more memory.
      use_bias: Whether the convolutions of the blocks and the skip sum have biases.
      remat: Whether the backward pass computes the activations of the blocks again, instead of keeping them, as
        `wavedil.ops.gated_stack` says; the attribute may be changed at any time.
      rngs: Source of the initial weights.

    Shapes:
      __call__:  [batch, time, channels] -> ([batch, time, channels], [batch, time, skip_channels]): the residual
                 output of the last block, and the skip sum.
      condition: [batch, time, condition_channels], or time 1 for a condition that is the same at every sample.
      state:     one array [batch, (kernel_size - 1) dilation, channels] for each block, oldest sample first.

    Raises:
      UserError: If a size is no whole number of at least 1 or there is no dilation; when called, as `GatedBlock`.

    Example:
      >>> stack = DilatedStack(32, 64, kernel_size=2, dilations=[1, 2, 4, 8], cycles=2, rngs=nnx.Rngs(0))
      >>> stack.receptive_field.size
      31

    Reference: van den Oord et al. 2016, arXiv:1609.03499, section 2.1; Yu and Koltun 2016, arXiv:1511.07122.
    """

    def __init__(
        self,
        channels: Size,
        skip_channels: Size,
        *,
        kernel_size: Size = 2,
        dilations: Sizes = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
        cycles: Size = 1,
        condition_channels: Size | None = None,
        gate_channels: Size | None = None,
        activation: str = "tanh",
        gate: str = "sigmoid",
        dropout: float = 0.0,
        use_bias: bool = True,
        remat: bool = False,
        rngs: nnx.Rngs,
    ) -> None:
        channels, skip_channels, cycles, condition_channels, gate_channels = require_positive(
            channels=channels,
            skip_channels=skip_channels,
            cycles=cycles,
            condition_channels=condition_channels,
            gate_channels=gate_channels,
        )
        dilations = require_sizes("dilation", dilations)
        if not dilations:
            raise UserError("dilations is empty; give at least one dilation, such as [1, 2, 4, 8]")
        self.in_channels, self.condition_channels = channels, condition_channels
        self.dilations = dilations * cycles
        self.remat = require_bool("remat", remat)
        self.blocks = nnx.List(
            GatedBlock(
                channels,
                kernel_size=kernel_size,
                dilation=dilation,
                condition_channels=condition_channels,
                gate_channels=gate_channels,
                activation=activation,
                gate=gate,
                dropout=dropout,
                use_bias=use_bias,
                rngs=rngs,
            )
            for dilation in self.dilations
        )
        joined = len(self.dilations) * (gate_channels or channels)
        kernel = normal(rngs, (joined, skip_channels))
        # A gated activation has a variance of about a quarter; this makes the skip sum's about one.
        self.skip_kernel = nnx.Param(2.0 * joined**-0.5 * kernel)
        self.skip_bias = nnx.Param(jnp.zeros(skip_channels, jnp.float32)) if use_bias else None
        fields = [block.receptive_field for block in self.blocks]
        self.receptive_field = functools.reduce(ReceptiveField.then, fields)

    def __call__(
        self,
        x: Num[Array, "batch time channels"],
        condition: Condition | None = None,
        *,
        mask: Bool[Array, "batch time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> tuple[Float[Array, "batch time channels"], Float[Array, "batch time skip_channels"]]:
        x, condition = enter(self, x, condition, mask=mask, dropout_key=dropout_key)
        y, skip = self._run(x, condition, dropout_key, mask=mask)
        return masked(y, mask), masked(skip, mask)

    def valid(
        self,
        x: Num[Array, "batch time channels"],
        condition: Condition | None = None,
        *,
        mask: Bool[Array, "batch mask_time"] | None = None,
        dropout_key: PRNGKeyArray | None = None,
    ) -> tuple[
        Float[Array, "batch inner_time channels"], Float[Array, "batch inner_time skip_channels"]
    ]:
        x, condition = enter_with_context(self, x, condition, mask, dropout_key)
        if condition is not None and is_local(condition):
            # The first block has outputs after its own past.
            condition = condition[:, self.blocks[0].receptive_field.past :]
        y, skip = self._run(x, condition, dropout_key, valid=True, mask=mask)
        there = inner(mask, self.receptive_field.past, y)
        return masked(y, there), masked(skip, there)

    def _run(self, x: Array, condition: Array | None, key: Any, **settings: Any) -> Any:
        local, blocks = is_local(condition), list(self.blocks)
        seen_by = None
        if key is not None and blocks[0].dropout:
            keys = keys_of(key, len(blocks))
            seen_by = [
                functools.partial(dropout, rate=block.dropout, key=key)
                for block, key in zip(blocks, keys, strict=True)
            ]
        # A condition that is the same at every sample is part of the biases and costs nothing a sample.
        return gated_stack(
            x,
            [block.weights(condition, local) for block in blocks],
            self.skip_kernel[...],
            self.skip_bias_or_zeros(),
            self.dilations,
            condition if local else None,
            gating=blocks[0].gating(),
            seen_by=seen_by,
            remat=self.remat,
            **settings,
        )

    def init_state(self, batch_size: Size, dtype: DTypeLike = jnp.float32) -> State:
        dtype = weights_dtype(self, dtype)
        return [block.init_state(batch_size, dtype) for block in self.blocks]

    def step(
        self,
        x: Num[Array, "batch time channels"],
        state: State,
        condition: Condition | None = None,
    ) -> tuple[
        tuple[Float[Array, "batch time channels"], Float[Array, "batch time skip_channels"]], State
    ]:
        x, condition = enter(self, x, condition)
        require_parts(self, state, range(len(self.blocks)))
        gated, after = [], []
        for block, past in zip(self.blocks, state, strict=True):
            (x, z), past = block.step(x, past, condition)
            gated.append(z)
            after.append(past)
        # One matmul over all blocks: the sum of their skip outputs.
        joined, kernel, bias = promoted(
            jnp.concatenate(gated, axis=-1), self.skip_kernel[...], self.skip_bias_or_zeros()
        )
        return (x, joined @ kernel + bias[None, None]), after

    def skip_bias_or_zeros(self) -> Float[Array, " skip_channels"]:
        """The bias of the skip sum, or zeros where there is none."""
        if self.skip_bias is None:
            return jnp.zeros(self.skip_kernel.shape[-1], self.skip_kernel.dtype)
        return self.skip_bias[...]
