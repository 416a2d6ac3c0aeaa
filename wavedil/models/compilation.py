"""A function of a model, compiled: the model is split once, and its weights are arguments of a pure function."""

import functools
from collections.abc import Callable
from typing import Any

import jax
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from wavedil.ops.devices import SHARED, own_mesh

Axes = Callable[..., tuple[tuple[Any, ...], Any]]
"""Given the arguments, the axis of the batch in each of them, and in the outputs: as `in_axes` and `out_axes` of
`jax.vmap`, None for what is the same for all signals."""


def compiled(
    function: Callable[..., Any], model: nnx.Module, *, donate: tuple[int, ...] = ()
) -> Callable[..., Any]:
    """`function(model, ...)` as a compiled function of the other arguments.

    Two calls for models of one config share what is compiled.

    Args:
      function: Defined at the level of a module, so that it is the same one each time.
      model: What it is given first.
      donate: Numbers of the other arguments, counted from 0, whose memory it takes over.

    Example:
      >>> outputs = compiled(WaveNet.__call__, model)
      >>> outputs(codes).shape
    """
    graph, weights = nnx.split(model)
    return functools.partial(_jitted(function, donate), _Graph(graph), weights)


def compiled_over_devices(
    function: Callable[..., Any],
    model: nnx.Module,
    axes: Axes,
    batch_size: int,
    *,
    donate: tuple[int, ...] = (),
) -> Callable[..., Any]:
    """The same, with the signals of a batch spread over the devices of this process, as many as divide it.

    Each computes the outputs of its own signals, and nothing moves between them.

    Args:
      function: As there; an output of a signal depends on that signal alone.
      model: As there.
      axes: Where the batch is; defined at the level of a module.
      batch_size: How many signals there are, or pairs of them that must stay together.
      donate: As there.
    """
    mesh = own_mesh(batch_size)
    if mesh is None:
        return compiled(function, model, donate=donate)
    graph, weights = nnx.split(model)
    weights = jax.device_put(weights, NamedSharding(mesh, PartitionSpec()))
    run = functools.partial(_jitted(function, donate, mesh, axes), _Graph(graph), weights)

    def call(*arguments: Any) -> Any:
        specs = _specs(axes(*arguments)[0])
        place = functools.partial(NamedSharding, mesh)
        return run(*jax.device_put(arguments, jax.tree.map(place, specs)))

    return call


class _Graph:
    """The graph of a model, hashed once: to hash it at every call would take longer than a short block."""

    def __init__(self, graph: Any) -> None:
        self.graph, self._hash = graph, hash(graph)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, _Graph) and self.graph == other.graph)


@functools.cache
def _jitted(
    function: Callable[..., Any],
    donate: tuple[int, ...],
    mesh: Mesh | None = None,
    axes: Axes | None = None,
) -> Callable[..., Any]:
    def call(graph: _Graph, weights: Any, *arguments: Any) -> Any:
        def of_weights(weights: Any, *arguments: Any) -> Any:
            return function(nnx.merge(graph.graph, weights), *arguments)

        if mesh is None or axes is None:
            return of_weights(weights, *arguments)
        given, out = axes(*arguments)
        return jax.shard_map(
            of_weights,
            mesh=mesh,
            in_specs=(PartitionSpec(), *_specs(given)),
            out_specs=_specs(out),
            check_vma=False,
        )(weights, *arguments)

    return jax.jit(call, static_argnums=0, donate_argnums=tuple(2 + number for number in donate))


def _specs(axes: Any) -> Any:
    """Axes of the batch as how the devices share it."""
    return jax.tree.map(
        lambda axis: PartitionSpec() if axis is None else PartitionSpec(*[None] * axis, SHARED),
        axes,
        is_leaf=lambda axis: axis is None,
    )
