"""Receptive fields by measurement: NaN in one input sample at a time, and the outputs that turn NaN."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from wavedil.errors import UserError, require_size
from wavedil.receptive_field.arguments import Function, output_axes, pure, require_axis
from wavedil.receptive_field.arithmetic import own_input
from wavedil.receptive_field.blind_spots import blind_spots
from wavedil.receptive_field.disturbance import Evidence, reached
from wavedil.receptive_field.probed_field import ProbedField as ProbedField
from wavedil.receptive_field.wording import samples_text

_SMALL_CHANGES = "zero weights and changes below rounding"


def probe(
    fn: Function,
    x: Any,
    *,
    time_axis: int = 1,
    output_time_axis: int | None = None,
    inputs: range | None = None,
    by: Evidence = "nan",
    batch_size: int = 64,
) -> ProbedField:
    """Measures which inputs each output of a function depends on.

    For every input s, `fn` runs on x with NaN in sample s, in all its channels and signals of the batch; the
    outputs that turn NaN depend on it. NaN follows structure and not magnitude (0 NaN and NaN - NaN are NaN), so
    small weights hide nothing. It is lost where floats become integers or truth values (comparisons, casts,
    argmax, a `where` that chooses by the signal), and a sort moves it to the end; the answer's `blind` names such
    operations of `fn`. `trace` sees through all of them.

    It costs as many runs of `fn` as inputs are probed, `batch_size` at once by vmap, one batch more, and one
    compilation. For a large model probe a few inputs from the middle: where all times are treated alike the field
    follows from twice the stride and at least four, so `inputs=range(5000, 5004)` measures a WaveNet in four runs.

    With `by="change"` the sample takes another finite value, and outputs that move by more than rounding depend
    on it. That measures magnitude. It works on integers (a code becomes another one that x holds), sees that an
    attention mask lets nothing through and that an FFT's rounding is no dependence; it misses what a weight of 0
    stands before and what is too small for a float.

    On a GPU a convolution may be computed by a transform that spreads NaN among neighbours; probe on a CPU.

    Args:
      fn: A JAX function or module of one array; it answers with an array or a pytree of arrays.
      x: A signal, as `fn` takes it; a ShapeDtypeStruct stands for noise.
      time_axis: The axis of time in x.
      output_time_axis: The axis of time in every output; `time_axis` by default.
      inputs: The inputs to probe, all by default.
      by: "nan" or "change".
      batch_size: Runs at once.

    Raises:
      UserError: If an axis is not there, NaN is asked for where x or all outputs hold integers, or `fn` gives NaN
        for x itself.

    Example:
      >>> probe(lambda x: x[:, 4:] + x[:, :-4], jnp.zeros((1, 32, 1))).taps
      (0, 4)
    """
    if by not in ("nan", "change"):
        raise UserError(f"by is {by!r}, but a probe goes by 'nan' or by 'change'")
    batch_size = require_size("batch size", batch_size)
    fn, x = pure(fn), _signal(x)
    time_axis = require_axis(time_axis, x.shape, "time_axis", "x")
    num_inputs = x.shape[time_axis]
    samples = _samples(inputs, num_inputs)
    output_time_axis = time_axis if output_time_axis is None else output_time_axis
    output_time_axis = _check_outputs(fn, x, output_time_axis, by)
    seen = reached(
        fn,
        x,
        time_axis=time_axis,
        output_time_axis=output_time_axis,
        samples=samples,
        by=by,
        batch_size=batch_size,
    )
    blind = blind_spots(fn, x) if by == "nan" else (_SMALL_CHANGES,)
    return ProbedField(seen=seen, probed=samples, num_inputs=num_inputs, blind=blind)


def check_causal(
    fn: Function,
    x: Any,
    *,
    time_axis: int = 1,
    output_time_axis: int | None = None,
    by: Evidence | None = None,
    batch_size: int = 64,
) -> None:
    """Fails unless no output of a function sees the future; one line for a test suite.

    Output t stands at input `floor(stride t)` and may see inputs up to there. Every input is probed, at the cost
    that `probe` states, so a few hundred samples are a good length: as many as the receptive field, that a look
    ahead of that many samples has room to show.

    NaN is the evidence where x holds floats: what it finds is wired to the future, whatever the weights are at the
    moment. Attention under a mask is wired so too (0 times NaN), and so is a convolution by FFT; `by="change"`
    lets them pass, and the failure says when it would. Integers can only be changed.

    Args:
      fn: A JAX function or module of one array.
      x: A signal of at least two samples, as `fn` takes it.
      time_axis: The axis of time in x.
      output_time_axis: The axis of time in every output; `time_axis` by default.
      by: "nan" or "change"; by default "nan" for floats.
      batch_size: Runs at once.

    Raises:
      AssertionError: If an output sees the future: the earliest one, and which input it saw.
      UserError: If it cannot be said: x has one sample, or no output depends on it.

    Example:
      >>> def test_model_is_causal():
      ...     check_causal(model, jnp.zeros((1, 300, 1)))
    """
    x = _signal(x)
    if by is None:
        by = "nan" if jnp.issubdtype(x.dtype, jnp.inexact) else "change"
    measure = functools.partial(
        probe, fn, x, time_axis=time_axis, output_time_axis=output_time_axis
    )
    field = measure(by=by, batch_size=batch_size)
    if field.num_inputs < 2 or not field.depends:
        found = "nothing that comes out depends on it" if field.num_inputs > 1 else "has no future"
        raise UserError(
            f"a signal of {field.num_inputs} samples cannot say whether the future is seen, for it {found}; use "
            "a few hundred samples, more than the receptive field"
        )
    leaks = field.leaks
    if not leaks.any():
        return
    # The earliest output that leaks, and the first future input that it sees.
    t = int(leaks.any(axis=1).argmax())
    s = int(leaks[t].argmax())
    message = _describe_leak(field, t, s)
    if by == "nan":
        # One run more, with a finite value, shows whether the leak moves any number or is wiring alone.
        moved = measure(inputs=range(s, s + 1), by="change").seen
        if not moved[t].any():
            message += (
                f"; no finite value of input {s} changes that output, as behind an attention mask, weights that "
                "are still 0, or an FFT: where that is meant, use by='change'"
            )
    raise AssertionError(message)


def _describe_leak(field: ProbedField, t: int, s: int) -> str:
    stride = field.stride
    # Time is counted in inputs, also where the output has another rate.
    own = own_input(stride, t)
    outputs, inputs = np.nonzero(field.leaks)
    farthest = int((inputs - own_input(stride, outputs)).max())
    message = (
        f"output {t} sees input {s}, {samples_text(s - own)} after its own time (input {own}); "
        f"{len(set(outputs.tolist()))} of {field.num_outputs} outputs see the future, "
        f"up to {samples_text(farthest)} of it. "
    )
    if stride == 1 and field.num_outputs < field.num_inputs:
        missing = field.num_inputs - field.num_outputs
        return message + (
            f"Without padding the output is {samples_text(missing)} shorter, and output t stands at the "
            f"oldest input that it sees; pad {samples_text(missing)} before the first one"
        )
    return (
        message
        + f"Pad before the first sample only, or delay the output by {samples_text(farthest)}"
    )


def _signal(x: Any) -> Array:
    """The signal as a JAX array; noise where only its shape is given."""
    if not isinstance(x, jax.ShapeDtypeStruct):
        return jnp.asarray(x)
    if jnp.issubdtype(x.dtype, jnp.inexact):
        return jax.random.normal(jax.random.key(0), x.shape, x.dtype)
    return jax.random.randint(jax.random.key(0), x.shape, 0, 2).astype(x.dtype)


def _samples(inputs: range | None, num_inputs: int) -> range:
    if num_inputs < 1:
        raise UserError("x has no sample along its time axis; give at least one")
    if inputs is None:
        return range(num_inputs)
    if (
        not isinstance(inputs, range)
        or inputs.step != 1
        or not 0 <= inputs.start < inputs.stop <= num_inputs
    ):
        raise UserError(
            f"inputs is {inputs}, but it must be a range of step 1 inside the signal's {num_inputs} samples"
        )
    return inputs


def _check_outputs(fn: Function, x: Array, axis: int, by: Evidence) -> int:
    """The outputs' time axis, counted from the front, once they are known to have it."""
    outputs = jax.tree.leaves(jax.eval_shape(fn, x))
    axes = set(output_axes(outputs, axis))
    if len(axes) > 1:
        raise UserError(
            f"the outputs have shapes {', '.join(str(leaf.shape) for leaf in outputs)}, where axis {axis} is not "
            "the same one from the front; probe one output at a time"
        )
    if by == "nan" and not jnp.issubdtype(x.dtype, jnp.inexact):
        raise UserError(
            f"x holds {x.dtype}, which cannot be NaN; probe what comes after the embedding "
            "(probe(rest, embedding[x])), go by='change', or trace the function, which takes integers"
        )
    if by == "nan" and not any(jnp.issubdtype(leaf.dtype, jnp.inexact) for leaf in outputs):
        raise UserError(
            f"every output holds {outputs[0].dtype}, which cannot be NaN; probe the floats that it is made from "
            "(logits, say), go by='change', or trace the function"
        )
    return axes.pop()
