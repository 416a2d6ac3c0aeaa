"""The door of every layer: what comes in is checked, and cast once to the type in which the layer works.

x, condition --> shapes fit? --> type of x, condition and weights together --> the layer
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array

from wavedil.errors import UserError
from wavedil.nn.dropout import require_key
from wavedil.nn.mask import masked, require_mask
from wavedil.ops.devices import split_alike
from wavedil.ops.pitch import require_dilation
from wavedil.ops.promotion import common_dtype


def enter(
    layer: Any,
    x: Any,
    condition: Any = None,
    *,
    mask: Any = None,
    dropout_key: Any = None,
    valid: bool = False,
) -> tuple[Array, Array | None]:
    """A signal and its condition as the layer works on them.

    Args:
      layer: A layer with `in_channels`, None for any number, and perhaps `condition_channels` and `num_frequencies`.
      x: [batch, time, in_channels], or [batch, time, num_frequencies, in_channels], of any type of numbers.
      condition: [batch, time or 1, condition_channels], or None for a layer without one.
      mask: Bool [batch, time], True where there is signal, or None where it is everywhere.
      dropout_key: A key of `jax.random`, or None for no dropout.
      valid: Whether the mask may end early, as in `Layer.valid`; what follows is signal.

    Returns:
      Both in the type that standard promotion gives for them and the weights, and zero where there is no signal.

    Raises:
      UserError: With what does not fit.
    """
    what, channels = type(layer).__name__, getattr(layer, "condition_channels", None)
    frequencies = getattr(layer, "num_frequencies", None)
    require_signal(what, "x", x, "in_channels", layer.in_channels, frequencies)
    if (condition is None) != (channels is None):
        raise UserError(
            f"this {what} was made without a condition, but was called with one; leave it out, or make the layer "
            f"with condition_channels={jnp.shape(condition)[-1]}"
            if channels is None
            else f"this {what} was made with a condition, but was called without one; give it one "
            f"[batch, time, {channels}]"
        )
    if condition is not None:
        require_signal(what, "condition", condition, "condition_channels", channels)
        require_beside(what, condition, x)
    require_mask(what, mask, x, valid)
    require_key(dropout_key)
    dtype = weights_dtype(layer, x, condition)
    x = jnp.asarray(x, dtype)
    if condition is not None:
        condition = split_alike(jnp.asarray(condition, dtype), x)
        condition = condition if condition.shape[1] == 1 else masked(condition, mask)
    return masked(x, mask), condition


def enter_with_context(
    layer: Any, x: Any, condition: Any = None, mask: Any = None, dropout_key: Any = None
) -> tuple[Array, Array | None]:
    """As `enter`, of a signal that begins with what its first output sees before itself.

    An empty signal begins with silence, and has no outputs.

    Raises:
      UserError: As `enter`, or if the signal is shorter than that, or the mask does not fit it.
    """
    x, condition = enter(layer, x, condition, mask=mask, dropout_key=dropout_key, valid=True)
    x = with_context(layer, x)
    if condition is not None and condition.shape[1] == 0:
        silent = jnp.zeros((*x.shape[:2], condition.shape[2]), condition.dtype)
        condition = split_alike(silent, x)
    return x, condition


def with_context(layer: Any, x: Array) -> Array:
    """The signal, or where it is empty as much silence as an output sees around itself."""
    if x.shape[1] == 0:
        field = layer.receptive_field
        silence = jnp.zeros((x.shape[0], field.past + field.future, *x.shape[2:]), x.dtype)
        return split_alike(silence, x)
    require_context(layer, x)
    return x


def require_context(layer: Any, x: Array) -> None:
    """Refuses a signal that is shorter than what an output sees around its own sample, but not an empty one."""
    field, num_samples = layer.receptive_field, x.shape[1]
    needed = field.past + field.future
    if num_samples != 0 and num_samples < needed:
        raise UserError(
            f"x has {num_samples} samples, but an output of this {type(layer).__name__} sees {needed} around its own, "
            f"so none is valid; give at least {needed + 1}, or call the layer itself, which pads"
        )


def weights_dtype(layer: Any, *signals: Array | DTypeLike | None) -> Any:
    """The type that standard promotion gives for signals, or their types, and the weights of a layer.

    A layer without weights works in numbers of Python: integers become floats, and floats stay.
    """
    types = {leaf.dtype for leaf in jax.tree.leaves(layer)}
    kinds = [kind for kind in types if jnp.issubdtype(kind, jnp.floating)]
    return common_dtype(signals, kinds or float)


def require_signal(
    what: str,
    name: str,
    x: Any,
    channels_name: str,
    channels: int | None,
    frequencies: int | None = None,
) -> None:
    """Refuses what is no [batch, time, channels] with so many channels, or holds no real numbers.

    With so many frequencies it must be [batch, time, frequencies, channels].
    """
    shape, kind = tuple(jnp.shape(x)), jnp.result_type(x)
    axes = ["batch", "time", *(["num_frequencies"] if frequencies else []), channels_name]
    form = f"[{', '.join(axes)}]"
    if len(shape) != len(axes):
        raise UserError(
            f"{name} has shape {list(shape)}, but {what} takes {form}; {_axes_remedy(len(shape), channels, axes)}"
        )
    for option, of_what, given, size in (
        (channels_name, "channels", shape[-1], channels),
        ("num_frequencies", "frequencies", shape[-2], frequencies),
    ):
        if size is not None and given != size:
            raise UserError(
                f"{name} has {given} {of_what}, but this {what} has {option}={size}; give {form} with "
                f"{size}, or make the layer with {option}={given}"
            )
    if not any(jnp.issubdtype(kind, real) for real in (jnp.floating, jnp.integer, jnp.bool_)):
        raise UserError(f"{name} holds {kind}, but {what} takes real numbers; cast it to float32")


def require_beside(what: str, condition: Any, x: Any, name: str = "condition") -> None:
    """Refuses a condition of another batch than the signal, or another length, one sample aside."""
    (batch_size, num_samples), (given, length) = x.shape[:2], condition.shape[:2]
    if given != batch_size:
        raise UserError(
            f"the {name} is for {given} signals and x holds {batch_size}; give {what} one for each signal, "
            f"repeated where it is the same: jnp.repeat({name}, {batch_size}, axis=0)"
        )
    of_all = (1,) if name == "condition" else ()
    if length not in (num_samples, *of_all):
        raise UserError(
            f"the {name} has {length} samples and the signal {num_samples}; a {name} of {what} has a "
            f"value at every sample{', or one for all' if of_all else ''}"
        )


def enter_pitch(
    layer: Any, x: Any, entered: Array, dilation: Any, voicing: Any, mask: Any = None
) -> tuple[Array, Array | None]:
    """A dilation and a voicing at every sample, as a layer with `longest_lag` and `spread` works on them.

    Args:
      layer: The layer.
      x: The signal that they were given with.
      entered: The signal as the layer works on it: an empty one may have become silence.
      dilation: Whole numbers [batch, time].
      voicing: Numbers [batch, time], or None.
      mask: As of `enter`.

    Returns:
      Both without what they hold where there is no signal: there, the dilation is the longest and the voicing 0.

    Raises:
      UserError: If one is not [batch, time], or a dilation that is known is out of range.
    """
    what, longest = type(layer).__name__, layer.longest_lag
    for name, given in (("dilation", dilation), ("voicing", voicing)):
        if name == "voicing" and given is None:
            continue
        shape = tuple(jnp.shape(given))
        if len(shape) != 2:
            raise UserError(
                f"the {name} has shape {list(shape)}, but {what} takes one at every sample, [batch, time]"
            )
        require_beside(what, given, x, name)
    if not jnp.issubdtype(jnp.result_type(dilation), jnp.integer):
        raise UserError(
            f"the dilation holds {jnp.result_type(dilation)}, but it counts samples; round it to int32"
        )
    dilation = masked(jnp.asarray(dilation, jnp.int32) - longest, mask) + longest
    require_dilation(dilation, layer.spread + 1, longest)
    voicing = None if voicing is None else masked(jnp.asarray(voicing, entered.dtype), mask)
    if x.shape[1] == 0:
        dilation = jnp.full(entered.shape[:2], longest, jnp.int32)
        voicing = None if voicing is None else jnp.zeros(entered.shape[:2], entered.dtype)
    return split_alike((dilation, voicing), entered)


def require_state(layer: Any, state: Any, shape: tuple[int, ...]) -> None:
    """Refuses what is no state of the layer."""
    given = getattr(state, "shape", None)
    if given != shape:
        what = f"has shape {list(given)}" if given is not None else f"is {type(state).__name__}"
        raise UserError(
            f"the state {what}, but {type(layer).__name__} keeps {list(shape)} for a batch of {shape[0]}; begin with "
            f"init_state({shape[0]}), and give each step the state of the one before"
        )


def require_parts(layer: Any, state: Any, parts: Sequence[Any]) -> None:
    """Refuses a state that has not these parts.

    Args:
      layer: Whose state it is.
      state: What was given.
      parts: The keys of a dict; the numbers, a range, of the entries of a list or a tuple; or (), which is the state
        itself of a layer without one.
    """
    kinds: Any = (list, tuple) if isinstance(parts, range) else dict if parts else tuple
    if not isinstance(state, kinds) or _keys(state) != set(parts):
        given = (
            f" of {sorted(_keys(state), key=str)}" if isinstance(state, dict | list | tuple) else ""
        )
        raise UserError(
            f"the state is {type(state).__name__}{given}, but {type(layer).__name__} keeps {list(parts) or '()'}; "
            "begin with init_state, and give each step the state of the one before"
        )


def _keys(state: Any) -> set[Any]:
    return set(state if isinstance(state, dict) else range(len(state)))


def _axes_remedy(num_axes: int, channels: int | None, axes: Sequence[str]) -> str:
    if num_axes == len(axes) - 1 and channels in (None, 1):
        return f"x[..., None] gives [{', '.join(axes[:-1])}] its axis of channels"
    if num_axes == 4:
        return "make the layer with num_frequencies, where it has that, for [batch, time, frequency, channels]"
    return f"x[None] gives one signal [{', '.join(axes[1:])}] its axis of batch"
