"""Running a function on a signal with one sample disturbed, many samples at once."""

import functools
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from wavedil.errors import UserError
from wavedil.receptive_field.arguments import Function

Evidence = Literal["nan", "change"]

# Rounding, as of a convolution by FFT, is no dependence: so many units of precision of the largest output.
_ROUNDING = 100
_NO_SAMPLE = -1
# YNNPACK, to which XLA gives large reductions on a CPU, takes the larger of NaN and a number to be the number.
_WITHOUT_YNNPACK = {"xla_cpu_experimental_ynn_fusion_type": ""}


def reached(
    fn: Function,
    x: Array,
    *,
    time_axis: int,
    output_time_axis: int,
    samples: range,
    by: Evidence,
    batch_size: int,
) -> Bool[np.ndarray, "outputs samples"]:
    """Which outputs notice that an input sample is NaN ("nan") or another value ("change").

    Raises:
      UserError: If the outputs hold NaN before anything is disturbed.
    """
    other = np.array(np.nan, x.dtype) if by == "nan" else other_values(x)

    def run(sample: Array) -> list[Array]:
        # The disturbed sample is data and no constant, so that one compilation serves all of them.
        at = jax.lax.broadcasted_iota(jnp.int32, x.shape, time_axis)
        leaves = jax.tree.leaves(fn(jnp.where(at == sample, other, x)))
        # Only by which output differs is asked, not by which channel: time first, all else in one axis.
        by_time = [jnp.moveaxis(leaf, output_time_axis, 0) for leaf in leaves]
        return [leaf.reshape(leaf.shape[0], -1) for leaf in by_time]

    options = _WITHOUT_YNNPACK if keeps_nan_in_maxima() else None
    run_batch = jax.jit(jax.vmap(run), compiler_options=options)
    batch_size = min(batch_size, len(samples))
    differs = _turned_nan if by == "nan" else _moved
    columns = []
    # jax_debug_nans would raise at the NaN that is put in on purpose.
    with jax.debug_nans(False):
        # Every run is compared with the one in the same place of a batch, which rounds in the same way.
        before = _on_host(run_batch(np.full(batch_size, _NO_SAMPLE, np.int32)))
        _require_no_nan(before)
        for start in range(0, len(samples), batch_size):
            part = samples[start : start + batch_size]
            batch = np.full(batch_size, _NO_SAMPLE, np.int32)
            # The last batch is filled up with runs that disturb nothing, so that it compiles nothing new.
            batch[: len(part)] = part
            after = _on_host(run_batch(batch))
            hits = [differs(*pair).any(axis=-1) for pair in zip(after, before, strict=True)]
            columns.append(np.logical_or.reduce(hits)[: len(part)])
    return np.concatenate(columns).T


@functools.cache
def keeps_nan_in_maxima() -> bool:
    """Whether this XLA has the option that keeps NaN in the maxima and minima of a reduction."""
    try:
        jax.jit(lambda: 0, compiler_options=_WITHOUT_YNNPACK)()
    except jax.errors.JaxRuntimeError:  # an option of this name is not there any more
        return False
    return True


def other_values(x: Array) -> Array:
    """A value for each of x's that differs from it.

    Floats move by noise, a channel unlike the next, because a normalisation over channels would swallow a common
    offset. An integer becomes the largest in x, and the largest becomes the smallest, so that codes stay codes.

    Raises:
      UserError: If x holds integers that are all the same.
    """
    if jnp.issubdtype(x.dtype, jnp.inexact):
        # 1 more, so that a silent signal is moved too.
        scale = 1 + jnp.std(x).astype(x.dtype)
        return x + scale * jax.random.normal(jax.random.key(0), x.shape, x.dtype)
    low, high = x.min(), x.max()
    if low == high:
        raise UserError(
            f"every value of x is {low}, so none can change to another that x holds; give at least two values"
        )
    return jnp.where(x == high, low, high)


def _turned_nan(after: np.ndarray, before: np.ndarray) -> np.ndarray:
    del before  # known to hold none
    return np.isnan(after)


def _moved(after: np.ndarray, before: np.ndarray) -> np.ndarray:
    if not jnp.issubdtype(after.dtype, jnp.inexact):
        return after != before
    # Sums in half precision are mostly rounded once, at their end, where they stay the same.
    double = jnp.finfo(after.dtype).bits == 64
    precision = np.finfo(np.float64 if double else np.float32).eps
    largest = np.max(np.abs(before), initial=0, where=np.isfinite(before))
    with np.errstate(invalid="ignore"):  # infinity less infinity, where equality decides
        close = np.abs(after - before) <= _ROUNDING * precision * largest
    return (after != before) & ~close


def _on_host(outputs: list[Array]) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in outputs]


def _require_no_nan(outputs: list[np.ndarray]) -> None:
    for leaf in outputs:
        ill = np.isnan(leaf).any(axis=(0, 2))
        if ill.any():
            raise UserError(
                f"output {int(ill.argmax())} is NaN before any input is disturbed, which hides what it depends on; "
                "give a signal without NaN for which the function is defined"
            )
