"""Functions with a backward pass of their own that stay differentiable in every mode and order.

`jax.custom_vjp` gives up forward mode. Here the derivative, a linear map from tangents to tangents, is an operation:

    evaluated         forward mode: by JAX, from the definition
    transposed        reverse mode: the backward pass that was given
    differentiated    by JAX, from either

Reverse mode never evaluates the map, so that it costs what it costs under `jax.custom_vjp`.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir


def own_backward(definition: Callable, forward: Callable, backward: Callable) -> Callable:
    """The function that `definition` defines, with another backward pass.

    Args:
      definition: (*static, *arguments) -> outputs; arguments and outputs are trees of floating-point arrays.
      forward: (*static, *arguments) -> (outputs, residuals): the same outputs, and what the backward pass needs.
      backward: (*static, residuals, gradients of the outputs) -> the gradients of the arguments, as a tuple. It is
        differentiated where gradients of gradients are asked for.

    Returns:
      The function (static, *arguments) -> outputs; static is a tuple that hashes.
    """
    tangent_map = _tangent_map(definition, backward)

    @functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
    def function(static: tuple, *arguments: Any) -> Any:
        return definition(*static, *arguments)

    def derivative(static: tuple, arguments: Any, tangents: Any) -> tuple[Any, Any]:
        outputs, residuals = forward(*static, *arguments)
        leaves, output_tree = jax.tree.flatten(outputs)
        argument_leaves, argument_tree = jax.tree.flatten(arguments)
        residual_leaves, residual_tree = jax.tree.flatten(residuals)
        tangents = jax.tree.leaves(tangents)
        given = tuple(not isinstance(tangent, SymbolicZero) for tangent in tangents)
        output_tangents = tangent_map.bind(
            *(*argument_leaves, *residual_leaves),
            *(tangent for tangent, is_given in zip(tangents, given, strict=True) if is_given),
            static=static,
            given=given,
            trees=(argument_tree, residual_tree, output_tree),
            types=tuple(map(jax.typeof, leaves)),
        )
        return outputs, jax.tree.unflatten(output_tree, output_tangents)

    function.defjvp(derivative, symbolic_zeros=True)
    return function


def _tangent_map(definition: Callable, backward: Callable) -> Primitive:
    """The map from the tangents of the arguments to those of the outputs, linear in the former.

    Operands: the leaves of the arguments, of the residuals, and of the tangents that are not zero (`given`).
    """

    def evaluate(*operands: Any, static: tuple, given: tuple, trees: tuple, **_: Any) -> list[Any]:
        count = len(given)
        tangents = iter(operands[len(operands) - sum(given) :])
        complete = [
            next(tangents) if is_given else jnp.zeros_like(leaf)
            for leaf, is_given in zip(operands[:count], given, strict=True)
        ]
        arguments = jax.tree.unflatten(trees[0], operands[:count])
        along = jax.tree.unflatten(trees[0], complete)
        return jax.tree.leaves(jax.jvp(functools.partial(definition, *static), arguments, along)[1])

    def transpose(
        gradients: Any, *operands: Any, static: tuple, given: tuple, trees: tuple, **_: Any
    ) -> list[Any]:
        known = len(operands) - sum(given)
        residuals = jax.tree.unflatten(trees[1], operands[len(given) : known])
        gradients = jax.tree.unflatten(trees[2], map(ad.instantiate_zeros, gradients))
        of_arguments = jax.tree.leaves(backward(*static, residuals, gradients))
        wanted = [leaf for leaf, is_given in zip(of_arguments, given, strict=True) if is_given]
        return [None] * known + wanted

    def differentiate(operands: Sequence[Any], tangents: Sequence[Any], **given: Any) -> Any:
        tangents = tuple(map(ad.instantiate_zeros, tangents))
        return jax.jvp(functools.partial(evaluate, **given), tuple(operands), tangents)

    def batch(operands: Sequence[Any], axes: Sequence[Any], **given: Any) -> Any:
        outputs = jax.vmap(functools.partial(evaluate, **given), tuple(axes))(*operands)
        return outputs, [0] * len(outputs)

    primitive = Primitive(f"tangents_of{definition.__name__}")
    primitive.multiple_results = True
    primitive.def_impl(evaluate)
    primitive.def_abstract_eval(lambda *_, types, **__: types)
    ad.primitive_jvps[primitive] = differentiate
    ad.primitive_transposes[primitive] = transpose
    batching.primitive_batchers[primitive] = batch
    mlir.register_lowering(primitive, mlir.lower_fun(evaluate, multiple_results=True))
    return primitive
