"""A model's weights by name, apart from the model: what files hold and training changes."""

from collections.abc import Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import ArrayLike

from wavedil.errors import UserError

AnyModel = TypeVar("AnyModel", bound=nnx.Module)


def named_weights(model: nnx.Module) -> dict[str, Any]:
    """The weights by name, such as "stack.blocks.0.conv.kernel"."""
    leaves = jax.tree_util.tree_leaves_with_path(nnx.to_pure_dict(nnx.state(model, nnx.Param)))
    return {_name(path): leaf for path, leaf in leaves}


def with_weights(model: AnyModel, weights: Mapping[str, ArrayLike], source: str) -> AnyModel:
    """The model with these weights in place of its own.

    Raises:
      UserError: If a weight is missing, unknown or of another shape than the model's.
    """
    graph, state, *rest = nnx.split(model, nnx.Param, ...)
    leaves, tree = jax.tree_util.tree_flatten_with_path(state)
    names = [_name(path) for path, _ in leaves]
    if set(names) != set(weights):
        name = sorted(set(names) ^ set(weights))[0]
        problem = "is missing from" if name in names else "is unknown to the model in"
        raise UserError(f"weight {name} {problem} {source}; its files do not belong together")
    for name, (_, leaf) in zip(names, leaves, strict=True):
        if np.shape(weights[name]) != leaf.shape:
            raise UserError(
                f"weight {name} has shape {np.shape(weights[name])} in {source}, but the model needs "
                f"{leaf.shape}; its files do not belong together"
            )
    values = [jnp.asarray(weights[name]) for name in names]
    merged: AnyModel = nnx.merge(graph, jax.tree.unflatten(tree, values), *rest)
    return merged


def _name(path: tuple[Any, ...]) -> str:
    parts = [getattr(key, "key", getattr(key, "name", None)) for key in path]
    return ".".join(str(part) for part in parts if part is not None and part != "value")
