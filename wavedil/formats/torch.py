"""Weights in the names and layouts of PyTorch, both ways, as NumPy arrays: PyTorch itself is not imported.

    here                                        there
    NAME.kernel [kernel_size, in / groups, out]   NAME.weight [out, in / groups, kernel_size]
    NAME.kernel, of weight normalisation v        NAME.weight_v, or NAME.parametrizations.weight.original1
    NAME.gain [out]                               NAME.weight_g [out, 1, 1], or ....original0
    any other weight                              the same name and layout

Kernels with more or fewer axes of taps go the same way: a matrix [in, out] is a weight [out, in].
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import jax.numpy as jnp
import numpy as np
from flax import nnx

from wavedil.errors import UserError
from wavedil.models.weights import named_weights, with_weights

Layer = TypeVar("Layer", bound=nnx.Module)
Weights = dict[str, np.ndarray]
_Shapes = dict[str, tuple[int, ...]]
# What PyTorch's two kinds of weight normalisation put in place of "weight": g, v.
_PAIRS = (
    ("weight_g", "weight_v"),
    ("parametrizations.weight.original0", "parametrizations.weight.original1"),
)
_MOST_NAMES = 6


def load(layer: Layer, state: Mapping[str, Any]) -> Layer:
    """The layer with PyTorch's weights in place of its own; the layer that was given is left as it is.

    Weight normalisation, g v / |v|, is kept where the layer has it, and multiplied out where it has not.

    Args:
      layer: A layer or model.
      state: Array by name, as `state_dict` of here and of `torch.nn.Module` give it; every weight of the layer, and
        no others. Weights keep their types.

    Raises:
      UserError: If a weight is missing, left over, of another shape, no array of floating-point numbers that are
        finite, or normalised with a norm of 0.

    Example:
      >>> theirs = torch.nn.Sequential(torch.nn.Conv1d(1, 8, 3, dilation=2))
      >>> ours = wd.nn.Sequential(wd.nn.Conv1d(1, 8, kernel_size=3, dilation=2, rngs=nnx.Rngs(0)))
      >>> ours = load(ours, {f"layers.{name}": value for name, value in theirs.state_dict().items()})
    """
    own = {name: weight.shape for name, weight in named_weights(layer).items()}
    state = _arrays("state", state)
    _require_same_weights(_layout(own, state), state)
    weights = {name: value for name, value in state.items() if name in own}
    for stem in _stems(own):
        names = _names(stem, state)
        kernel = state[names[-1]]
        if f"{stem}gain" in own:
            norm = _norm(names[-1], kernel, _gain_shape(kernel.shape))
            gain = state[names[0]] if len(names) == 2 else norm
            weights[f"{stem}gain"] = gain.reshape(-1)
        elif len(names) == 2:
            kernel = _product(names[-1], kernel, state[names[0]])
        weights[f"{stem}kernel"] = np.moveaxis(kernel, (0, 1), (-1, -2))
    return with_weights(layer, weights, "PyTorch")


def state_dict(layer: nnx.Module, like: Mapping[str, Any] | None = None) -> Weights:
    """The weights of a layer by PyTorch's names, in PyTorch's layouts.

    Args:
      layer: A layer or model.
      like: The `state_dict` of the PyTorch module that gets them, where it has weight normalisation: g and v are then
        written as it has them. None: every kernel is one weight.

    Raises:
      UserError: If a weight of the layer is not in `like`, or the other way round, or has another shape; or if one
        that is normalised has a norm of 0.

    Example:
      >>> state = {name: torch.from_numpy(value) for name, value in state_dict(layer).items()}
      >>> module.load_state_dict(state)
    """
    own = {name: np.asarray(weight) for name, weight in named_weights(layer).items()}
    as_in = {} if like is None else _arrays("like", like)
    if like is not None:
        shapes = {name: weight.shape for name, weight in own.items()}
        _require_same_weights(_layout(shapes, as_in), as_in)
    stems = _stems(own)
    apart = {f"{stem}{part}" for stem in stems for part in ("kernel", "gain")}
    result = {name: value.copy() for name, value in own.items() if name not in apart}
    for stem in stems:
        names = _names(stem, as_in)
        kernel, gain = _weight(own[f"{stem}kernel"]), own.get(f"{stem}gain")
        gain = None if gain is None else gain.reshape(_gain_shape(kernel.shape))
        if len(names) == 1:
            name = f"{stem}kernel"
            result[names[0]] = kernel if gain is None else _product(name, kernel, gain)
        else:
            gain_name, kernel_name = names
            norm = _norm(f"{stem}kernel", kernel, as_in[gain_name].shape)
            gain = norm if gain is None else gain
            result[gain_name], result[kernel_name] = gain, kernel
    return result


def _stems(own: Iterable[str]) -> list[str]:
    """What stands before "kernel" in the names of kernels."""
    return [name.removesuffix("kernel") for name in own if name.endswith("kernel")]


def _names(stem: str, state: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of a kernel in a state: of its gain and its direction where that has both, or of the weight alone."""
    for pair in _PAIRS:
        names = tuple(f"{stem}{part}" for part in pair)
        if all(name in state for name in names):
            return names
    return (f"{stem}weight",)


def _layout(own: _Shapes, state: Weights) -> _Shapes:
    """The shapes of a layer's weights under their names in a state of PyTorch."""
    shapes = dict(own)
    for stem in _stems(own):
        *taps, in_channels, out_channels = shapes.pop(f"{stem}kernel")
        gained = shapes.pop(f"{stem}gain", None) is not None
        names = _names(stem, state)
        shapes[names[-1]] = kernel = (out_channels, in_channels, *taps)
        if len(names) == 2:
            given = state[names[0]].shape
            # PyTorch may take the norm over any axes; a layer's gain has one for each output channel.
            known = not gained and _broadcasts(given, kernel)
            shapes[names[0]] = given if known else _gain_shape(kernel)
    return shapes


def _require_same_weights(shapes: _Shapes, state: Weights) -> None:
    missing, left = shapes.keys() - state.keys(), state.keys() - shapes.keys()
    if missing and left:
        raise UserError(
            f"the PyTorch weights have no {_listed(missing)}, but {_listed(left)}; give each the name that the layer "
            "has, as in {'layers.' + name: value for name, value in state.items()}"
        )
    if missing:
        raise UserError(
            f"the PyTorch weights have no {_listed(missing)}, which the layer needs; add what is missing, or make the "
            "layer without (use_bias=False)"
        )
    if left:
        raise UserError(
            f"the PyTorch weights have {_listed(left)}, which the layer has no place for; make it with a place for "
            "each, or leave them out"
        )
    for name, shape in shapes.items():
        if state[name].shape != shape:
            raise UserError(
                f"PyTorch weight {name} has shape {state[name].shape}, but the layer needs {shape} (a convolution's is "
                "[out_channels, in_channels / groups, kernel_size]); make the layer with the sizes of the weight"
            )


def _listed(names: Iterable[str]) -> str:
    names = sorted(names)
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more


def _arrays(argument: str, state: Any) -> Weights:
    """What was given as the argument of that name, as arrays by name."""
    if not isinstance(state, Mapping):
        raise UserError(
            f"{argument} is of type {type(state).__name__}, but it must hold arrays by name; give module.state_dict()"
        )
    for name in state:
        if not isinstance(name, str):
            raise UserError(
                f"{argument} has the key {name!r}, but the names of weights are text, such as '0.weight'; give "
                "module.state_dict()"
            )
    return {name: _array(name, value) for name, value in state.items()}


def _array(name: str, value: Any) -> np.ndarray:
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:  # on a GPU, with a gradient, of bfloat16
        raise UserError(
            f"PyTorch weight {name} is no NumPy array ({error}); give value.detach().float().cpu().numpy()"
        ) from error
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise UserError(
            f"PyTorch weight {name} is of type {array.dtype}, but weights are floating-point numbers; leave out what "
            "is no weight, or give value.float()"
        )
    if not np.isfinite(array).all():
        raise UserError(
            f"PyTorch weight {name} holds numbers that are not finite; give those of a trained model"
        )
    return array


def _weight(kernel: np.ndarray) -> np.ndarray:
    """[..., in, out] as [out, in, ...], in memory of its own."""
    return np.moveaxis(kernel, (-1, -2), (0, 1)).copy()


def _gain_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[0],) + (1,) * (len(shape) - 1)


def _norm(name: str, weight: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """|v| over the axes along which a gain of that shape is the same; refuses 0, by which v cannot be divided."""
    gains = (1,) * (weight.ndim - len(shape)) + shape
    axes = tuple(axis for axis, size in enumerate(gains) if size == 1)
    squares = np.square(weight, dtype=np.promote_types(weight.dtype, np.float32))
    norm = np.sqrt(squares.sum(axes, keepdims=True)).reshape(shape).astype(weight.dtype)
    if not norm.all():
        raise UserError(
            f"weight {name} has a norm of 0, but weight normalisation divides by it; give the weights of a trained "
            "model, or a layer and weights without weight normalisation"
        )
    return norm


def _product(name: str, weight: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """G v / |v|."""
    return (weight * (gain / _norm(name, weight, gain.shape))).astype(weight.dtype)


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    return len(shape) in (0, len(to)) and all(a in (1, b) for a, b in zip(shape, to, strict=False))
