"""A stack of gated blocks whose dilation grows."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float

from wavedil.errors import require_positive
from wavedil.nn.gated_block import Condition, GatedBlock, is_local
from wavedil.ops import gated_stack
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
      use_bias: Whether the convolutions of the blocks and the skip sum have biases.
      rngs: Source of the initial weights.

    Shapes:
      __call__:  [batch, time, channels] -> ([batch, time, channels], [batch, time, skip_channels]): the residual
                 output of the last block, and the skip sum.
      condition: [batch, time, condition_channels], or time 1 for a condition that is the same at every sample.
      state:     one array [batch, (kernel_size - 1) dilation, channels] for each block, oldest sample first.

    Raises:
      ValueError: If a size is below 1 or there is no dilation.

    Example:
      >>> stack = DilatedStack(32, 64, kernel_size=2, dilations=[1, 2, 4, 8], cycles=2, rngs=nnx.Rngs(0))
      >>> stack.receptive_field.size
      31

    Reference: van den Oord et al. 2016, arXiv:1609.03499, section 2.1; Yu and Koltun 2016, arXiv:1511.07122.
    """

    def __init__(
        self,
        channels: int,
        skip_channels: int,
        *,
        kernel_size: int = 2,
        dilations: Sequence[int] = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
        cycles: int = 1,
        condition_channels: int | None = None,
        use_bias: bool = True,
        rngs: nnx.Rngs,
    ) -> None:
        require_positive(skip_channels=skip_channels, cycles=cycles)
        if not dilations:
            raise ValueError("dilations is empty; give at least one dilation, such as [1, 2, 4, 8]")
        self.dilations = tuple(dilations) * cycles
        self.blocks = nnx.List(
            GatedBlock(
                channels,
                kernel_size=kernel_size,
                dilation=dilation,
                condition_channels=condition_channels,
                use_bias=use_bias,
                rngs=rngs,
            )
            for dilation in self.dilations
        )
        joined = len(self.dilations) * channels
        kernel = jax.random.normal(rngs.params(), (joined, skip_channels), jnp.float32)
        # A gated activation has a variance of about a quarter; this makes the skip sum's about one.
        self.skip_kernel = nnx.Param(2.0 * joined**-0.5 * kernel)
        self.skip_bias = nnx.Param(jnp.zeros(skip_channels, jnp.float32)) if use_bias else None
        fields = [block.receptive_field for block in self.blocks]
        self.receptive_field = functools.reduce(ReceptiveField.then, fields)

    def __call__(
        self, x: Float[Array, "batch time channels"], condition: Condition | None = None
    ) -> tuple[Float[Array, "batch time channels"], Float[Array, "batch time skip_channels"]]:
        return self._run(x, condition, is_local(condition, x))

    def valid(
        self,
        x: Float[Array, "batch time channels"],
        condition: Condition | None = None,
        *,
        mask: Bool[Array, "batch mask_time"] | None = None,
    ) -> tuple[
        Float[Array, "batch inner_time channels"], Float[Array, "batch inner_time skip_channels"]
    ]:
        local = is_local(condition, x)
        if condition is not None and local:
            # The first block has outputs after its own past.
            condition = condition[:, self.blocks[0].receptive_field.past :]
        return self._run(x, condition, local, valid=True, mask=mask)

    def _run(self, x: Array, condition: Condition | None, local: bool, **settings: Any) -> Any:
        # A condition that is the same at every sample is part of the biases and costs nothing a sample.
        return gated_stack(
            x,
            [block.weights(condition, local) for block in self.blocks],
            self.skip_kernel[...],
            self.skip_bias_or_zeros(),
            self.dilations,
            condition if local else None,
            **settings,
        )

    def init_state(self, batch_size: int, dtype: DTypeLike = jnp.float32) -> State:
        return [block.init_state(batch_size, dtype) for block in self.blocks]

    def step(
        self,
        x: Float[Array, "batch time channels"],
        state: State,
        condition: Condition | None = None,
    ) -> tuple[
        tuple[Float[Array, "batch time channels"], Float[Array, "batch time skip_channels"]], State
    ]:
        gated, after = [], []
        for block, past in zip(self.blocks, state, strict=True):
            (x, z), past = block.step(x, past, condition)
            gated.append(z)
            after.append(past)
        # One matmul over all blocks: the sum of their skip outputs.
        skip = jnp.concatenate(gated, axis=-1) @ self.skip_kernel[...]
        skip = skip + self.skip_bias_or_zeros()[None, None]
        return (x, skip), after

    def skip_bias_or_zeros(self) -> Float[Array, " skip_channels"]:
        """The bias of the skip sum, or zeros where there is none."""
        if self.skip_bias is None:
            return jnp.zeros(self.skip_kernel.shape[-1], self.skip_kernel.dtype)
        return self.skip_bias[...]
