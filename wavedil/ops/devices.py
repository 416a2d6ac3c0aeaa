"""A function of whole signals on devices that hold a part of the batch each."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import PartitionSpec

from wavedil.errors import UserError


def on_each_device(function: Callable, arguments: tuple[Any, ...], by_signal: Any) -> Any:
    """function(*arguments), on every device with the signals that it holds.

    Where the first argument, x [batch, time, channels], says by its type which axes of the mesh hold its batch
    (`AxisType.Explicit`), the function runs under `jax.shard_map` over these. What is not a signal's is the same on
    all devices, and its gradient is summed over them once, at the end.

    Args:
      function: Its outputs have the batch as their first axis.
      arguments: Trees of arrays.
      by_signal: A tree above them, True for arrays whose first axis is the batch.

    Raises:
      UserError: If devices hold parts of a signal.
    """
    sharding = jax.typeof(arguments[0]).sharding
    axes, *within = sharding.spec
    if any(part is not None for part in within):
        raise UserError(
            f"the signal is split as {(axes, *within)}, but outputs are computed from whole signals; split the batch "
            f"alone, with jax.sharding.reshard(x, jax.sharding.PartitionSpec({axes!r}))"
        )
    if axes is None:
        return function(*_varying_alike(arguments))
    by_batch = PartitionSpec(axes)
    return jax.shard_map(
        lambda *arguments: function(*_varying_alike(arguments)),
        in_specs=jax.tree.map(
            lambda is_split: by_batch if is_split else PartitionSpec(), by_signal
        ),
        out_specs=by_batch,
        # The signal's own: that of `jax.set_mesh` need not be there.
        mesh=sharding.mesh,
        axis_names={axes} if isinstance(axes, str) else set(axes),
    )(*arguments)


def _batch_axes(x: Array) -> Any:
    """The axes of the mesh that split the first axis of x, where its type says so (`AxisType.Explicit`)."""
    return next(iter(jax.typeof(x).sharding.spec), None)


def _varying_alike(arguments: Any) -> Any:
    """The arguments, where `jax.shard_map` keeps account: each varies over the axes that any of them varies over.

    So weights that are the same on all devices become each device's own, whose gradients JAX sums over the devices.
    """
    if not jax.sharding.get_abstract_mesh().manual_axes:
        return arguments
    # A sum varies wherever its terms do; XLA takes the zeros out again.
    zero = sum(jnp.zeros_like(leaf, shape=()) for leaf in jax.tree.leaves(arguments))
    return jax.tree.map(lambda leaf: leaf + zero, arguments)


def split_alike(signals: Any, like: Array) -> Any:
    """A tree of arrays with their first axis on the devices that hold the first axis of another array."""
    axes = _batch_axes(like)
    if axes is None:
        return signals
    return jax.tree.map(lambda leaf: jax.sharding.reshard(leaf, PartitionSpec(axes)), signals)


def reshaped(x: Array, *shape: int) -> Array:
    """Every signal of x [batch, ...] in another shape, on the devices that hold it."""
    axes = _batch_axes(x)
    sharding = None if axes is None else PartitionSpec(axes)
    return jnp.reshape(x, (x.shape[0], *shape), out_sharding=sharding)


def rows_of(table: Array, rows: Array) -> Array:
    """table[rows], on the devices that hold the rows."""
    axes = _batch_axes(rows)
    return table[rows] if axes is None else table.at[rows].get(out_sharding=PartitionSpec(axes))
