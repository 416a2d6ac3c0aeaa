"""By how many samples a recorded signal is late."""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from wavedil.errors import UserError

# Latencies of converters and their drivers are shorter.
_LONGEST_SECONDS = 0.5
# Frequencies in which the signals have a smaller share of their mean power say little.
_FLOOR = 1e-2
# A response stands out from what lies around it so far; that of two unrelated signals, about 5.
_CLEAR = 8.0
# It begins at most so long before its peak, where it first has this share of it.
_RISE_SECONDS = 0.003
_ONSET = 0.2
# What has this share of the peak may be it as well.
_BROAD = 0.9


class Response(NamedTuple):
    """What is linear between a dry and a wet signal: its impulse response around lag 0, with equal frequencies."""

    magnitudes: Float[np.ndarray, " lags"]
    longest: int
    """Lags are `-longest .. longest - 1`."""
    onset: int
    """The lag where it begins, as far as it shows."""
    peak: int
    """The lag where it is largest."""

    def may_begin_at(self, lag: int) -> bool:
        """Whether it shows nothing that speaks against that lag.

        Of signals with few frequencies the peak is broad, and what is about as large may be it as well.
        """
        at = lag + self.longest
        if self.onset <= lag <= self.peak:
            return True
        broad = _BROAD * self.magnitudes[self.peak + self.longest]
        return 0 <= at < len(self.magnitudes) and bool(self.magnitudes[at] >= broad)

    def begin(self) -> int:
        """The lag where it begins, and one sample as a margin; 0, where it may begin there.

        What is recorded inside a computer is not late at all, and that alone is exact. Elsewhere, to begin too late
        would cost a causal model what it needs, and to begin early costs nothing.
        """
        return 0 if self.may_begin_at(0) else self.onset - 1


def latencies(responses: Sequence[Response]) -> list[int]:
    """Samples by which each of several wet signals is late; below 0 where it comes before its dry one.

    What was recorded with the same devices is late by as much, and what is found of one recording is too early rather
    than too late. So all are as late as the median, but for those whose response speaks against it.
    """
    found = [response.begin() for response in responses]
    common = statistics.median_high(found)
    return [
        common if response.may_begin_at(common) else own
        for response, own in zip(responses, found, strict=True)
    ]


def response_of(
    dry: Float[np.ndarray, " time"], wet: Float[np.ndarray, " time"], sample_rate: int
) -> Response:
    """What is linear between the two, with frequencies of equal weight.

    It has the impulse response

        h = IFFT( S_dw / (sqrt(S_dd S_ww) + floor) )

    with the cross spectrum and the power spectra, means over windows of some seconds. It begins in the milliseconds
    before its peak, where |h| first reaches a fifth of it.

    Args:
      dry: Samples.
      wet: As many.
      sample_rate: Hz.

    Raises:
      UserError: If no response stands out, as between two signals that have nothing to do with each other.

    Reference: Carter et al. 1973, "The smoothed coherence transform".
    """
    longest, rise = (round(seconds * sample_rate) for seconds in (_LONGEST_SECONDS, _RISE_SECONDS))
    longest = max(1, min(longest, len(dry) // 2))
    size = 1 << math.ceil(math.log2(4 * longest))
    window = np.hanning(size)
    cross = np.zeros(size // 2 + 1, complex)
    dry_power, wet_power = np.zeros((2, size // 2 + 1))
    for start in range(0, max(1, len(dry) - size // 2), size // 2):
        pieces = (signal[start : start + size] for signal in (dry, wet))
        x, y = (np.fft.rfft(piece * window[: len(piece)], size) for piece in pieces)
        cross += np.conj(x) * y
        dry_power += np.abs(x) ** 2
        wet_power += np.abs(y) ** 2
    power = np.sqrt(dry_power * wet_power)
    response = np.abs(np.fft.irfft(cross / (power + _FLOOR * np.mean(power)), size))
    lags = np.arange(-longest, longest)
    response = response[lags]
    peak = int(np.argmax(response))
    if not response[peak] > _CLEAR * np.sqrt(np.mean(response**2)):
        raise UserError(
            "the wet signal does not follow from the dry one, so that no latency is found; check that they belong "
            "together, or say the latency in samples (latency 0)"
        )
    first = max(0, peak - rise)
    onset = first + int(np.argmax(response[first : peak + 1] >= _ONSET * response[peak]))
    return Response(response, longest, int(lags[onset]), int(lags[peak]))
