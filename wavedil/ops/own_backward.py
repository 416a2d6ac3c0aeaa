"""Functions with a backward pass of their own that stay differentiable in every mode and order.

`jax.custom_vjp` gives up forward mode. Here the function and its derivative, a linear map from tangents to tangents,
are operations:

                      function                          derivative
    evaluated         by the forward pass that was      forward mode: by JAX, from the definition
                      given; read as the definition
    transposed                                          reverse mode: the backward pass that was given
    differentiated    by the derivative                 by JAX, from either
    batched           each of them under `jax.vmap`

Reverse mode never evaluates the derivative, so that it costs what it costs under `jax.custom_vjp`.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jax.extend.core import Primitive, jaxpr_as_fun
from jax.interpreters import ad, batching, mlir


def own_backward(definition: Callable, forward: Callable, backward: Callable) -> Callable:
    """The function that `definition` defines, with another backward pass.

    Args:
      definition: (*static, *arguments) -> outputs; arguments and outputs are trees of floating-point arrays.
      forward: (*static, *arguments) -> (outputs, residuals): the same outputs, which are those computed, and what the
        backward pass needs.
      backward: (*static, residuals, gradients of the outputs) -> the gradients of the arguments, as a tuple. It is
        differentiated where gradients of gradients are asked for.

    Returns:
      The function (static, *arguments) -> outputs; static is a tuple that hashes.
    """

    @functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
    def function(static: tuple, *arguments: Any) -> Any:
        leaves, tree = jax.tree.flatten(arguments)
        if not any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
            # Outside `jit`, operation by operation: a loop of the forward pass would be compiled at every call.
            return definition(*static, *arguments)

        def define(*leaves: Any) -> Any:
            return definition(*static, *jax.tree.unflatten(tree, leaves))

        def evaluate(*leaves: Any) -> list[Any]:
            return jax.tree.leaves(forward(*static, *jax.tree.unflatten(tree, leaves))[0])

        jaxpr, outputs = jax.make_jaxpr(define, return_shape=True)(*leaves)
        found = _function.bind(*leaves, jaxpr=jaxpr, evaluate=evaluate)
        return jax.tree.unflatten(jax.tree.structure(outputs), found)

    def derivative(static: tuple, arguments: Any, tangents: Any) -> tuple[Any, Any]:
        outputs, residuals = forward(*static, *arguments)
        argument_leaves, argument_tree = jax.tree.flatten(arguments)
        residual_leaves, residual_tree = jax.tree.flatten(residuals)
        output_leaves, output_tree = jax.tree.flatten(outputs)
        tangents = jax.tree.leaves(tangents)
        given = [not isinstance(tangent, SymbolicZero) for tangent in tangents]
        count, known = len(given), len(given) + len(residual_leaves)

        def evaluate(*operands: Any) -> list[Any]:
            of_given = iter(operands[known:])
            complete = [
                next(of_given) if is_given else jnp.zeros_like(leaf)
                for leaf, is_given in zip(operands[:count], given, strict=True)
            ]
            at, along = (
                jax.tree.unflatten(argument_tree, part) for part in (operands[:count], complete)
            )
            return jax.tree.leaves(jax.jvp(functools.partial(definition, *static), at, along)[1])

        def transposed(*operands: Any) -> list[Any]:
            saved = jax.tree.unflatten(residual_tree, operands[count:known])
            gradients = backward(*static, saved, jax.tree.unflatten(output_tree, operands[known:]))
            leaves = zip(jax.tree.leaves(gradients), given, strict=True)
            return [leaf for leaf, is_given in leaves if is_given]

        output_tangents = _linear_map.bind(
            *argument_leaves,
            *residual_leaves,
            *(tangent for tangent, is_given in zip(tangents, given, strict=True) if is_given),
            known=known,
            evaluate=evaluate,
            transposed=transposed,
            types=tuple(map(jax.typeof, output_leaves)),
        )
        return outputs, jax.tree.unflatten(output_tree, output_tangents)

    function.defjvp(derivative, symbolic_zeros=True)
    return function


# A call of the jaxpr of the definition, which is evaluated by a faster function of the same operands.
_function = Primitive("function_with_own_backward")
_function.multiple_results = True

# Operands are what is known, so many of them, and the tangents that the map is linear in.
#
#     evaluate      known, tangents  ->  tangents of the outputs, of these types
#     transposed    known, gradients of the outputs  ->  gradients of what the tangents are of
_linear_map = Primitive("tangents")
_linear_map.multiple_results = True


def _evaluate(*operands: Any, evaluate: Callable, **_: Any) -> list[Any]:
    return evaluate(*operands)


def _transpose(
    gradients: Any, *operands: Any, known: int, transposed: Callable, **_: Any
) -> list[Any]:
    complete = map(ad.instantiate_zeros, gradients)
    return [None] * known + transposed(*operands[:known], *complete)


def _differentiate(
    operands: Sequence[Any], tangents: Sequence[Any], *, evaluate: Callable, **_: Any
) -> Any:
    return jax.jvp(evaluate, tuple(operands), tuple(map(ad.instantiate_zeros, tangents)))


def _batch_function(
    operands: Sequence[Any], axes: Sequence[int | None], *, jaxpr: Any, evaluate: Callable
) -> tuple[Any, list[int]]:
    batched = jax.make_jaxpr(jax.vmap(jaxpr_as_fun(jaxpr), axes))(*operands)
    outputs = _function.bind(*operands, jaxpr=batched, evaluate=jax.vmap(evaluate, axes))
    return outputs, [0] * len(outputs)


def _batch(
    operands: Sequence[Any],
    axes: Sequence[int | None],
    *,
    known: int,
    evaluate: Callable,
    transposed: Callable,
    types: tuple[Any, ...],
) -> tuple[Any, list[int]]:
    # Every tangent has the axis, so that the transposed map has it in all its outputs; a broadcast sums these.
    (size, *_) = (x.shape[axis] for x, axis in zip(operands, axes, strict=True) if axis is not None)
    tangents = [
        jnp.broadcast_to(tangent, (size, *tangent.shape))
        if axis is None
        else jnp.moveaxis(tangent, axis, 0)
        for tangent, axis in zip(operands[known:], axes[known:], strict=True)
    ]
    operands, of_known = (*operands[:known], *tangents), tuple(axes[:known])
    evaluate = jax.vmap(evaluate, (*of_known, *(0 for _ in tangents)))
    outputs = _linear_map.bind(
        *operands,
        known=known,
        evaluate=evaluate,
        transposed=jax.vmap(transposed, (*of_known, *(0 for _ in types))),
        types=tuple(jax.make_jaxpr(evaluate)(*operands).out_avals),
    )
    return outputs, [0] * len(types)


_function.def_impl(lambda *operands, jaxpr, **_: jaxpr_as_fun(jaxpr)(*operands))
_function.def_abstract_eval(lambda *_, jaxpr, **__: jaxpr.out_avals)
batching.primitive_batchers[_function] = _batch_function
mlir.register_lowering(_function, mlir.lower_fun(_evaluate, multiple_results=True))

_linear_map.def_impl(_evaluate)
_linear_map.def_abstract_eval(lambda *_, types, **__: types)
ad.primitive_jvps[_linear_map] = _differentiate
ad.primitive_transposes[_linear_map] = _transpose
batching.primitive_batchers[_linear_map] = _batch
mlir.register_lowering(_linear_map, mlir.lower_fun(_evaluate, multiple_results=True))
