"""The type in which arrays meet: that of standard promotion, under strict promotion too."""

from typing import Any

import jax
import jax.numpy as jnp


def common_dtype(*arguments: Any) -> Any:
    """The type of all arrays, and types, in the arguments; None counts for nothing.

    bfloat16, float32 -> float32        int32, bfloat16 -> bfloat16        float16, bfloat16 -> float32
    """
    with jax.numpy_dtype_promotion("standard"):
        return jnp.result_type(*jax.tree.leaves(arguments))


def promoted(*arguments: Any) -> Any:
    """The arguments, arrays or trees of them, in their common type. Gradients come back in the type of each."""
    dtype = common_dtype(arguments)
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), arguments)
