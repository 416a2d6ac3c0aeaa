"""A batch in parts: shared among devices, and on each of them computed one part after the other.

The loss of a batch is a sum over its counted targets and their number, so those of parts add up to those of the batch:

    batch of 8 windows      0 1 2 3 4 5 6 7        2 devices, 2 parts each
    device 0                0 1 | 2 3              each part by itself, its gradient added to the others'
    device 1                        4 5 | 6 7
    update                  (sum of all gradients) / (sum of all weights), once, the same on all devices
"""

import functools
from collections.abc import Callable, Collection
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from wavedil.errors import UserError
from wavedil.ops.devices import SHARED, mesh_of
from wavedil.training.config import TrainingConfig

Loss = Callable[[Any, Any, Any], tuple[Any, Any]]


def require_divided(settings: TrainingConfig, batch_sizes: Collection[int]) -> None:
    """Refuses devices that are not there, and batches that cannot be divided into the parts that are asked for.

    Args:
      settings: Say how many parts.
      batch_sizes: Windows of the batches.
    """
    mesh_of(settings.devices)
    count = settings.devices * settings.accumulate
    odd = sorted({size for size in batch_sizes if size % count})
    if not odd:
        return
    among = [f"{settings.devices} devices"] if settings.devices > 1 else []
    among += [f"{settings.accumulate} parts"] if settings.accumulate > 1 else []
    below, above = odd[-1] // count * count, (odd[-1] // count + 1) * count
    nearest = f"{below} or {above}" if below else str(above)
    sizes = ", ".join(map(str, odd[:-1])) + (" and " if odd[:-1] else "") + str(odd[-1])
    raise UserError(
        f"batches of {sizes} window{'s' if odd[-1] > 1 else ''} cannot be shared evenly among {' of '.join(among)}; "
        f"use --training.batch-size {nearest}, or other --training.devices and --training.accumulate"
    )


def shared(settings: TrainingConfig, batch: Any) -> Any:
    """The batch on the devices that share it, each with its part of the windows, the first axis of every array.

    Args:
      settings: Say how many devices and parts.
      batch: Of several hosts, the part of this one.
    """
    count, num_hosts = settings.devices * settings.accumulate, jax.process_count()
    if count > 1:
        sizes = {len(np.atleast_1d(leaf)) * num_hosts for leaf in jax.tree.leaves(batch)}
        require_divided(settings, sizes)
    mesh = mesh_of(settings.devices)
    if mesh is None:
        return batch
    split = NamedSharding(mesh, P(SHARED))
    if num_hosts > 1:
        return jax.tree.map(functools.partial(jax.make_array_from_process_local_data, split), batch)
    return jax.device_put(batch, split)


def everywhere(settings: TrainingConfig, tree: Any) -> Any:
    """The arrays on all devices that share a batch."""
    mesh = mesh_of(settings.devices)
    if mesh is None:
        return tree
    alike = NamedSharding(mesh, P())
    if jax.process_count() > 1:  # where device_put would compare all hosts, leaf by leaf
        return jax.tree.map(
            lambda leaf: jax.make_array_from_process_local_data(alike, np.asarray(leaf)), tree
        )
    return jax.device_put(tree, alike)


def mean_and_gradient(loss: Loss, settings: TrainingConfig) -> Callable[[Any, Any, Any], Any]:
    """`((mean, (weight, named)), gradient) = f(weights, batch, key)` of a whole batch, whatever its parts are.

    What a loss draws at random depends on how many parts there are, and not on which device computes them: of a batch
    in one part with the key itself, otherwise with `fold_in(key, number of the part)`.

    Args:
      loss: (weights, batch, key) -> (total, (weight, named)): numbers that are sums over the windows of the batch.
      settings: Say how many devices and parts.
    """

    def mean_loss(weights: Any, batch: Any, key: Any) -> tuple[Any, Any]:
        total, (weight, named) = loss(weights, batch, key)
        return total / jnp.maximum(weight, 1.0), (weight, named)

    if settings.devices * settings.accumulate == 1:
        return jax.value_and_grad(mean_loss, has_aux=True)
    sums = _sums_and_gradients(loss, settings)

    def of_sums(weights: Any, batch: Any, key: Any) -> Any:
        (total, (weight, named)), gradients = sums(weights, batch, key)
        count = jnp.maximum(weight, 1.0)
        gradients = jax.tree.map(lambda leaf: leaf / count.astype(leaf.dtype), gradients)
        return (total / count, (weight, named)), gradients

    return of_sums


def _sums_and_gradients(loss: Loss, settings: TrainingConfig) -> Callable[[Any, Any, Any], Any]:
    """`((total, others), gradients) = f(weights, batch, key)`, sums over all parts of a batch."""
    num_devices, num_parts = settings.devices, settings.accumulate
    gradient = jax.value_and_grad(loss, has_aux=True)

    def of_device(weights: Any, batch: Any, key: Any, first: Any) -> Any:
        """The sums of the windows that one device has, whose first part has that number."""

        def of_part(number: Any, windows: Any) -> Any:
            return gradient(weights, windows, jax.random.fold_in(key, number))

        def add(sums: Any, given: Any) -> tuple[Any, None]:
            return jax.tree.map(jnp.add, sums, of_part(*given)), None

        if num_parts == 1:
            return of_part(first, batch)
        parts = jax.tree.map(
            lambda leaf: jnp.reshape(leaf, (num_parts, -1, *leaf.shape[1:])), batch
        )
        given = first + jnp.arange(num_parts, dtype=jnp.int32), parts
        shapes = jax.eval_shape(of_part, *jax.tree.map(lambda leaf: leaf[0], given))
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        return lax.scan(add, zeros, given)[0]

    if num_devices == 1:
        return lambda weights, batch, key: of_device(weights, batch, key, jnp.int32(0))

    def of_all(weights: Any, batch: Any, key: Any) -> Any:
        sums = of_device(weights, batch, key, lax.axis_index(SHARED) * num_parts)
        return lax.psum(sums, SHARED)

    # Each device differentiates its own sum, which no other device enters: what varies need not be followed.
    return jax.shard_map(
        of_all,
        mesh=mesh_of(num_devices),
        in_specs=(P(), P(SHARED), P()),
        out_specs=P(),
        check_vma=False,
    )
