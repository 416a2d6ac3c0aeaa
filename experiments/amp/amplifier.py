"""A guitar amplifier as a circuit: a diode stage that is an ordinary differential equation, tone stack, cabinet.

    guitar -> gain -> [ Cc - R -+- C | diodes | Rl ] -> tone stack -> cabinet

    C  dv/dt = (u - w - v) / R - v / Rl - i(v)            v: voltage over the diodes, u: what drives the stage
    Cc dw/dt = (u - w - v) / R                            w: voltage over the coupling capacitor
    i(v) = Is (exp(v / Va) - exp(-v / Vb))                one diode one way, two the other

The diodes make the time constant of v anything from 20 us down to some nanoseconds, while w drifts over tens of
milliseconds: the equation is stiff. It is solved by BDF2, which is implicit and L-stable, with Newton's method in each
of eight steps a sample.
"""

import math

import numba
import numpy as np
from scipy import signal

OVERSAMPLING = 8
# Ohm, farad, ampere, volt; of 1N4148 diodes.
RESISTANCE, LOAD, CAPACITY, COUPLING = 2.2e3, 470e3, 10e-9, 47e-9
SATURATION, FORWARD, BACKWARD = 2.52e-9, 45.3e-3, 2 * 45.3e-3
# Of the guitar at full scale, and what the knob makes of it, from 0 to 1.
PICKUP_VOLTS = 0.25
GAIN_DB = 12.0, 46.0


def amplify(dry: np.ndarray, sample_rate: int, gain: float, volume: float = 1.0) -> np.ndarray:
    """What the amplifier makes of a guitar at a setting of its gain knob from 0 to 1, float32; `volume` is a factor."""
    low, high = GAIN_DB
    drive = PICKUP_VOLTS * 10 ** ((low + gain * (high - low)) / 20)
    driven = drive * signal.sosfilt(_bright(sample_rate), dry.astype(np.float64))
    # The ripple of both filters lies below that of 16 bits.
    fast = signal.resample_poly(driven, OVERSAMPLING, 1, window=("kaiser", 12.0))
    clipped = diode_stage(fast, OVERSAMPLING * sample_rate)
    slow = signal.resample_poly(clipped, 1, OVERSAMPLING, window=("kaiser", 12.0))
    toned = signal.lfilter(*_tone_stack(sample_rate), slow)
    return (volume * _cabinet(toned, sample_rate)).astype(np.float32)


@numba.njit(cache=False)
def diode_stage(u: np.ndarray, sample_rate: float) -> np.ndarray:
    """The voltage over the diodes, from rest."""
    h = 2.0 / 3.0 / sample_rate
    k = h / (RESISTANCE * COUPLING)
    # w at the new step is (a + k (u - v)) / (1 + k), so that v alone is unknown.
    series = 1.0 / (RESISTANCE * (1.0 + k))
    out = np.empty_like(u)
    v = v_before = w = w_before = 0.0
    for n in range(u.size):
        a = (4.0 * w - w_before) / 3.0
        b = (4.0 * v - v_before) / 3.0
        v_before, w_before = v, w
        for _ in range(200):
            forward, backward = math.exp(v / FORWARD), math.exp(-v / BACKWARD)
            current = (u[n] - a - v) * series - v / LOAD - SATURATION * (forward - backward)
            slope = -series - 1.0 / LOAD - SATURATION * (forward / FORWARD + backward / BACKWARD)
            change = (v - b - h / CAPACITY * current) / (1.0 - h / CAPACITY * slope)
            # Where the exponential is steep, a longer step would overshoot.
            change = min(max(change, -0.1), 0.1)
            v -= change
            if abs(change) < 1e-10:
                break
        w = (a + k * (u[n] - v)) / (1.0 + k)
        out[n] = v
    return out


def _bright(sample_rate: int) -> np.ndarray:
    """What a small coupling capacitor takes off the lows."""
    return signal.butter(1, 150, "highpass", fs=sample_rate, output="sos")


def _tone_stack(
    sample_rate: int, treble: float = 0.6, middle: float = 0.5, bass: float = 0.5
) -> tuple[np.ndarray, np.ndarray]:
    """The passive stack of three knobs of a well-known amplifier, by its circuit (Yeh and Smith 2006)."""
    r1, r2, r3, r4 = 250e3, 1e6, 25e3, 56e3
    c1, c2, c3 = 250e-12, 20e-9, 20e-9
    t, m, l = treble, middle, math.exp((bass - 1) * 3.4)  # noqa: E741
    b1 = t * c1 * r1 + m * c3 * r3 + l * (c1 * r2 + c2 * r2) + (c1 * r3 + c2 * r3)
    b2 = (
        t * (c1 * c2 * r1 * r4 + c1 * c3 * r1 * r4)
        - m**2 * (c1 * c3 * r3**2 + c2 * c3 * r3**2)
        + m * (c1 * c3 * r1 * r3 + c1 * c3 * r3**2 + c2 * c3 * r3**2)
        + l * (c1 * c2 * r1 * r2 + c1 * c2 * r2 * r4 + c1 * c3 * r2 * r4)
        + l * m * (c1 * c3 * r2 * r3 + c2 * c3 * r2 * r3)
        + (c1 * c2 * r1 * r3 + c1 * c2 * r3 * r4 + c1 * c3 * r3 * r4)
    )
    b3 = (
        l * m * (c1 * c2 * c3 * r1 * r2 * r3 + c1 * c2 * c3 * r2 * r3 * r4)
        - m**2 * (c1 * c2 * c3 * r1 * r3**2 + c1 * c2 * c3 * r3**2 * r4)
        + m * (c1 * c2 * c3 * r1 * r3**2 + c1 * c2 * c3 * r3**2 * r4)
        + t * c1 * c2 * c3 * r1 * r3 * r4
        - t * m * c1 * c2 * c3 * r1 * r3 * r4
        + t * l * c1 * c2 * c3 * r1 * r2 * r4
    )
    a1 = (c1 * r1 + c1 * r3 + c2 * r3 + c2 * r4 + c3 * r4) + m * c3 * r3 + l * (c1 * r2 + c2 * r2)
    a2 = (
        m * (c1 * c3 * r1 * r3 - c2 * c3 * r3 * r4 + c1 * c3 * r3**2 + c2 * c3 * r3**2)
        + l * m * (c1 * c3 * r2 * r3 + c2 * c3 * r2 * r3)
        - m**2 * (c1 * c3 * r3**2 + c2 * c3 * r3**2)
        + l * (c1 * c2 * r2 * r4 + c1 * c2 * r1 * r2 + c1 * c3 * r2 * r4 + c2 * c3 * r2 * r4)
        + (c1 * c2 * r1 * r4 + c1 * c3 * r1 * r4 + c1 * c2 * r3 * r4 + c1 * c2 * r1 * r3)
        + (c1 * c3 * r3 * r4 + c2 * c3 * r3 * r4)
    )
    a3 = (
        l * m * (c1 * c2 * c3 * r1 * r2 * r3 + c1 * c2 * c3 * r2 * r3 * r4)
        - m**2 * (c1 * c2 * c3 * r1 * r3**2 + c1 * c2 * c3 * r3**2 * r4)
        + m * (c1 * c2 * c3 * r3**2 * r4 + c1 * c2 * c3 * r1 * r3**2 - c1 * c2 * c3 * r1 * r3 * r4)
        + l * c1 * c2 * c3 * r1 * r2 * r4
        + c1 * c2 * c3 * r1 * r3 * r4
    )
    return signal.bilinear([b3, b2, b1, 0], [a3, a2, a1, 1], sample_rate)


def _cabinet(x: np.ndarray, sample_rate: int) -> np.ndarray:
    """A loudspeaker in its box: no lows, a resonance, a presence peak, no highs, and a reflection after 1.2 ms."""
    band = signal.butter(2, 80, "highpass", fs=sample_rate, output="sos")
    low = signal.cheby1(4, 1.0, 4800, "lowpass", fs=sample_rate, output="sos")
    x = signal.sosfilt(low, signal.sosfilt(band, x))
    for hertz, quality, gain_db in ((120, 2.0, 5.0), (450, 1.0, -4.0), (2600, 2.0, 6.0)):
        x = signal.sosfilt(_peak(hertz, quality, gain_db, sample_rate)[None], x)
    late = round(1.2e-3 * sample_rate)
    return 0.9 * (x - 0.25 * np.concatenate([np.zeros(late), x[:-late]]))


def _peak(hertz: float, quality: float, gain_db: float, sample_rate: int) -> np.ndarray:
    """A band louder or quieter, as a section of second order (Bristow-Johnson's cookbook)."""
    a, w = 10 ** (gain_db / 40), 2 * math.pi * hertz / sample_rate
    alpha = math.sin(w) / (2 * quality)
    section = np.array(
        [1 + alpha * a, -2 * math.cos(w), 1 - alpha * a, 1 + alpha / a, -2 * math.cos(w), 1 - alpha / a]
    )  # fmt: skip
    return section / section[3]
