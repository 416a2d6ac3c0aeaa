"""Devices that share a batch, and functions of whole signals on devices that hold a part of it each."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from wavedil.errors import UserError

SHARED = "batch"
"""The axis of the mesh of devices that share a batch."""


@functools.cache
def mesh_of(num_devices: int) -> Mesh | None:
    """The first so many devices, as a mesh of one axis, SHARED; None for one device, which needs none.

    Of several hosts each gives as many of its own, in the order of the hosts.

    Raises:
      UserError: If there are fewer, or the hosts cannot give equally many.
    """
    if jax.process_count() > 1:
        return _mesh_of_hosts(num_devices)
    devices = jax.local_devices()
    if num_devices > len(devices):
        begin = f"; begin with JAX_NUM_CPU_DEVICES={num_devices} to have more"
        remedy = begin if devices[0].platform == "cpu" else ""
        raise UserError(
            f"devices is {num_devices}, but there {'is' if len(devices) == 1 else 'are'} {len(devices)} "
            f"({devices[0].platform}); use {len(devices)} or fewer{remedy}"
        )
    if num_devices == 1:
        return None
    mesh: Mesh = jax.make_mesh(
        (num_devices,), (SHARED,), (AxisType.Auto,), devices=devices[:num_devices]
    )
    return mesh


def _mesh_of_hosts(num_devices: int) -> Mesh:
    num_hosts, devices = jax.process_count(), jax.devices()
    each = min(sum(one.process_index == host for one in devices) for host in range(num_hosts))
    if num_devices % num_hosts or num_devices > num_hosts * each:
        most = num_hosts * each
        raise UserError(
            f"devices is {num_devices}, but {num_hosts} hosts with {each} ({devices[0].platform}) each share the "
            f"batches; use {f'a multiple of {num_hosts} up to {most}' if each > 1 else most}"
        )
    chosen = [
        [one for one in devices if one.process_index == host][: num_devices // num_hosts]
        for host in range(num_hosts)
    ]
    return Mesh(np.array(chosen).reshape(-1), (SHARED,), axis_types=(AxisType.Auto,))


def on_one_device(tree: Any) -> Any:
    """Arrays that are the same on all devices, on the first of them; no number is copied."""
    return jax.tree.map(
        lambda leaf: leaf.addressable_data(0) if isinstance(leaf, Array) else leaf, tree
    )


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
    axes, *within = jax.typeof(arguments[0]).sharding.spec
    if any(part is not None for part in within):
        raise UserError(
            f"the signal is split as {(axes, *within)}, but outputs are computed from whole signals; split the batch "
            f"alone, with jax.sharding.reshard(x, jax.sharding.PartitionSpec({axes!r}))"
        )
    split = _by_batch(arguments[0])
    if split is None:
        return function(*_varying_alike(arguments))
    return jax.shard_map(
        lambda *arguments: function(*_varying_alike(arguments)),
        in_specs=jax.tree.map(
            lambda is_split: split.spec if is_split else PartitionSpec(), by_signal
        ),
        out_specs=split.spec,
        mesh=split.mesh,
        axis_names={axes} if isinstance(axes, str) else set(axes),
    )(*arguments)


def _by_batch(x: Array) -> NamedSharding | None:
    """How the mesh splits the first axis of x, and that alone, where its type says so (`AxisType.Explicit`).

    With the signal's own mesh: that of `jax.set_mesh` need not be there.
    """
    sharding = jax.typeof(x).sharding
    axes = next(iter(sharding.spec), None)
    return None if axes is None else NamedSharding(sharding.mesh, PartitionSpec(axes))


def _varying_alike(arguments: Any) -> Any:
    """The arguments, where `jax.shard_map` keeps account: each varies over the axes that any of them varies over.

    So weights that are the same on all devices become each device's own, whose gradients JAX sums over the devices.
    """
    if not jax.sharding.get_abstract_mesh().manual_axes:
        return arguments
    # A sum varies wherever its terms do, of whatever types; XLA takes the zeros out again.
    zeros = [jnp.zeros_like(leaf, shape=(), dtype=bool) for leaf in jax.tree.leaves(arguments)]
    zero = functools.reduce(jnp.logical_or, zeros)
    return jax.tree.map(lambda leaf: leaf + zero.astype(leaf.dtype), arguments)


def split_alike(signals: Any, like: Array) -> Any:
    """A tree of arrays with their first axis on the devices that hold the first axis of another array."""
    split = _by_batch(like)
    if split is None:
        return signals
    return jax.tree.map(lambda leaf: jax.sharding.reshard(leaf, split), signals)


def reshaped(x: Array, *shape: int) -> Array:
    """Every signal of x [batch, ...] in another shape, on the devices that hold it."""
    return jnp.reshape(x, (x.shape[0], *shape), out_sharding=_by_batch(x))


def rows_of(table: Array, rows: Array) -> Array:
    """table[rows], on the devices that hold the rows."""
    split = _by_batch(rows)
    return table[rows] if split is None else table.at[rows].get(out_sharding=split)


def own_mesh(batch_size: int) -> Mesh | None:
    """Devices of this process that can share a batch evenly: as many as divide it and are there; None for one."""
    devices = jax.local_devices()
    count = math.gcd(batch_size, len(devices))
    return None if count == 1 else Mesh(np.array(devices[:count]), (SHARED,))
