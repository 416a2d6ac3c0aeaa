"""How voiced, and at which pitch, a resynthesised voice is beside its recording: by librosa's pyin."""

from collections.abc import Sequence
from typing import NamedTuple

import librosa
import numpy as np

RATE, HOP = 8000, 64
# A pitch further from the recording's than this is another one.
GROSS_CENTS = 50


class Voice(NamedTuple):
    """The pitch (Hz) of every frame, and whether it is voiced."""

    hz: np.ndarray
    voiced: np.ndarray


class VoiceErrors(NamedTuple):
    """How far voices are from those that they should be."""

    voicing_error: float
    """Share of the frames that are voiced in one and not in the other."""
    f0_gross: float
    """Share of the frames voiced in both whose pitch differs by more than 50 cents."""
    f0_cents: float | None
    """Median difference of the others in cents."""
    both_voiced: int
    """Frames that the pitch is compared in."""


def voice(sound: np.ndarray) -> Voice:
    """The voice of a sound of 8 kHz, a frame every 8 ms."""
    hz, voiced, _ = librosa.pyin(
        sound, fmin=65, fmax=400, sr=RATE, frame_length=512, hop_length=HOP
    )
    return Voice(hz, voiced)


def errors(wanted: Sequence[Voice], made: Sequence[Voice], factor: float = 1.0) -> VoiceErrors:
    """Of voices that should be so many times as high as those wanted."""
    pairs = [
        (one, other, min(len(one.hz), len(other.hz)))
        for one, other in zip(wanted, made, strict=True)
    ]
    unlike = np.concatenate([a.voiced[:n] != b.voiced[:n] for a, b, n in pairs])
    cents = np.concatenate([1200 * np.log2(b.hz[:n] / (factor * a.hz[:n])) for a, b, n in pairs])
    both = np.isfinite(cents)
    cents = np.abs(cents[both])
    near = cents[cents <= GROSS_CENTS]
    return VoiceErrors(
        voicing_error=float(unlike.mean()),
        f0_gross=float((cents > GROSS_CENTS).mean()) if len(cents) else 1.0,
        f0_cents=float(np.median(near)) if len(near) else None,
        both_voiced=int(both.sum()),
    )
