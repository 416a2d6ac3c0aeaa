"""Fourier transforms, and convolution as a product of two of them.

    inverse(transform(x padded) * transform(kernel padded))      output t sees x at t - lag, for every lag of the kernel

A spectrum remembers the signal that it is of and what it has been multiplied with; the inverse transform of that is
the kernel, up to rounding: of single precision where the program gives the spectrum, else of double. Every other
inverse is said to see all.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from wavedil.receptive_field.limits import MAX_ELEMENTS
from wavedil.receptive_field.tracing.domain.axis_map import AxisMap
from wavedil.receptive_field.tracing.domain.sets import of_bits, shifted
from wavedil.receptive_field.tracing.domain.terms import trimmed
from wavedil.receptive_field.tracing.domain.value import Spectrum, Value, union_of
from wavedil.receptive_field.tracing.interpreter import Interpreter, Rule, Seen
from wavedil.receptive_field.tracing.rules.reduction import mixed

# Rounding of a spectrum puts about one unit of precision into every lag for each halving of the length, of the kernel's
# norm over the square root of the length; here are some. Taps of a kernel that ends stand out by another factor.
_ROUNDING = 8
_STANDS_OUT = 100


def transform(tracer: Interpreter, eqn: Any, inputs: list[Seen]) -> Seen:
    """Every frequency sees all samples of the transformed axes."""
    value = inputs[0]
    assert isinstance(value, Value)
    lengths, ndim = eqn.params["fft_lengths"], len(value.axes)
    shape = eqn.outvars[0].aval.shape
    every = mixed(value, range(ndim - len(lengths), ndim), shape)
    one = len(lengths) == 1
    if not eqn.params["fft_type"].name.startswith("I"):
        return replace(every, spectrum=Spectrum(value, ndim - 1)) if one else every
    spectrum = value.spectrum
    if spectrum is not None and one and spectrum.axis == ndim - 1:
        filtered = _filtered(spectrum, int(lengths[0]))
        if filtered is not None:
            return filtered
    return every.because("an inverse Fourier transform")


def _filtered(spectrum: Spectrum, length: int) -> Value | None:
    """The signal, convolved round a circle with the kernel that has the response; None without a kernel."""
    axis, response = spectrum.axis, spectrum.response
    if response is None or response.ndim <= axis or spectrum.signal.shape[axis] != length:
        return None
    half = response.shape[axis] == length // 2 + 1
    if not (half or response.shape[axis] == length) or response.size > MAX_ELEMENTS:
        return None
    inverse = np.fft.irfft if half else np.fft.ifft
    # In double precision whatever the response is given in, so that none is lost here.
    precise = response.astype(np.complex128)
    kernel = np.moveaxis(inverse(precise, length, axis=axis), axis, 0).reshape(length, -1)
    # Each channel has its own gain, and so its own rounding.
    units = _ROUNDING * np.log2(max(2, length)) * np.finfo(response.dtype).eps
    rounding = units * np.linalg.norm(kernel, axis=0) / np.sqrt(length)
    taps = np.abs(kernel) > rounding
    if not taps.any():
        return None
    reason = None
    lags = np.flatnonzero(taps.any(1))
    if not (taps <= (np.abs(kernel) > _STANDS_OUT * rounding)).all():
        # A kernel that decays has taps below rounding: up to half of the circle, where the other half is free.
        reason = "a filter whose taps fall below rounding"
        lags = np.arange(length // 2 if lags.max() < length // 2 else length)
    elif (taps != taps[:, :1]).any():
        reason = "a filter of other taps in other channels"
    elif (parts := _real_and_imaginary(kernel, rounding)) is not None:
        reason = parts
    # A lag is read back from where it is, or from the other end of the circle.
    tapped = np.zeros(length, bool)
    tapped[-lags] = True
    back = of_bits(0, int.from_bytes(np.packbits(tapped, bitorder="little").tobytes(), "little"))
    reads = [
        spectrum.signal.read(axis, AxisMap.of(length, 1, [shifted(back, by)]))
        for by in (-length, 0)
    ]
    value = union_of([part.each(lambda term: [trimmed(term)]) for part in reads])
    past = lags.max() if lags.max() < length else 0
    grows = bool(2 * past >= length - 2)
    terms = tuple(term.growing(past=grows, future=False) for term in value.terms)
    value = Value(value.axes, terms)
    return value if reason is None else value.because(reason)


def _real_and_imaginary(kernel: np.ndarray, rounding: np.ndarray) -> str | None:
    """Why the real part of what is filtered may see less than all of it: the kernel's real part has fewer taps."""
    real, imaginary = np.abs(kernel.real) > rounding, np.abs(kernel.imag) > rounding
    if not imaginary.any() or (real == imaginary).all():
        return None
    return "a filter whose real and imaginary parts have different taps"


RULES: dict[str, Rule] = {"fft": transform}
