"""A function of a model, compiled: the model is split once, and its weights are arguments of a pure function."""

import functools
from collections.abc import Callable
from typing import Any

import jax
from flax import nnx


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


class _Graph:
    """The graph of a model, hashed once: to hash it at every call would take longer than a short block."""

    def __init__(self, graph: Any) -> None:
        self.graph, self._hash = graph, hash(graph)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, _Graph) and self.graph == other.graph)


@functools.cache
def _jitted(function: Callable[..., Any], donate: tuple[int, ...]) -> Callable[..., Any]:
    def call(graph: _Graph, weights: Any, *arguments: Any) -> Any:
        return function(nnx.merge(graph.graph, weights), *arguments)

    return jax.jit(call, static_argnums=0, donate_argnums=tuple(2 + number for number in donate))
