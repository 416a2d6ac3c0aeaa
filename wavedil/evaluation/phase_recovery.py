"""From mel spectra to sound without a model: what a vocoder has to beat."""

import inspect
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from wavedil.errors import UserError
from wavedil.frames import num_frames
from wavedil.mel import MelConfig, sizes

_ITERATIONS = 60
_PIECE_SECONDS = 60


def griffin_lim(
    frames: Float[np.ndarray, "frames num_mels"], settings: MelConfig, num_samples: int
) -> Float32[np.ndarray, " time"]:
    """A sound that has about these mel spectra, by Griffin and Lim's iteration.

    The magnitudes are the non-negative ones whose mel bands come nearest; their phases begin at random (always the
    same) and become those of the sound that has them so far, sixty times. What lasts longer than a minute is made in
    pieces of a minute, which fade into each other within a Fourier transform.

    Args:
      frames: As `mel.mel` makes them.
      settings: With which it made them.
      num_samples: Samples of the sound.

    Returns:
      Samples, limited to [-1, 1].

    Raises:
      UserError: If there are not as many frames as the samples take, not as many bands as the settings
        say, or the settings are not complete.

    Example:
      sound = griffin_lim(mel(samples, settings), settings, len(samples))

    Reference: Griffin and Lim 1984; with momentum as in Perraudin et al. 2013 (librosa.griffinlim).
    """
    rate, fft_size, hop = sizes(settings)
    wanted = (num_frames(num_samples, hop), settings.num_mels)
    if frames.shape != wanted:
        raise UserError(
            f"mel spectra have shape {frames.shape}, but {num_samples} samples with a frame every {hop} take {wanted}; "
            "compute them with these settings"
        )
    # Frames of a piece, of which the last ones are those that the next piece begins with.
    shared = -(-fft_size // hop)
    stride = max(1, _PIECE_SECONDS * rate // hop - shared)
    sound = np.zeros(num_samples, np.float32)
    for first in range(0, max(1, len(frames) - shared), stride):
        stop = min(first + stride + shared, len(frames))
        start, end = first * hop, min(stop * hop, num_samples)
        piece = _piece(frames[first:stop], settings, end - start)
        if first:
            fade = np.sin(np.linspace(0.0, np.pi / 2, shared * hop, dtype=np.float32))
            piece[: len(fade)] *= fade
            sound[start : start + len(fade)] *= fade[::-1]
        sound[start:end] += piece
    return np.clip(sound, -1.0, 1.0, out=sound)


def _piece(frames: np.ndarray, settings: MelConfig, num_samples: int) -> np.ndarray:
    import librosa

    rate, fft_size, hop = sizes(settings)
    # librosa 1.0 calls `random_state` `rng`.
    renamed = "rng" in inspect.signature(librosa.griffinlim).parameters
    random: dict[str, Any] = {"rng" if renamed else "random_state": np.random.RandomState(0)}
    # Where the samples end with a frame, a centred transform of an even size has one more around the end.
    # Frames around their middles are those of a sound that begins half a frame later, after one frame more.
    late = hop - hop // 2 if settings.centre == "middle" else 0
    before, length = int(late > 0), num_samples + late
    missing = 1 + (length - fft_size % 2) // hop - len(frames) - before
    frames = np.pad(frames, ((before, max(0, missing)), (0, 0)), mode="edge")
    bands = settings.smallest ** (1.0 - frames.T)
    magnitudes = librosa.feature.inverse.mel_to_stft(
        bands,
        sr=rate,
        n_fft=fft_size,
        power=settings.power,
        fmin=settings.lowest_hz,
        fmax=settings.highest_hz,
        htk=settings.scale == "htk",
        norm="slaney" if settings.norm == "slaney" else None,
    )
    sound = librosa.griffinlim(
        magnitudes,
        n_iter=_ITERATIONS,
        hop_length=hop,
        win_length=settings.window_size,
        n_fft=fft_size,
        window=settings.window,
        length=length,
        **random,
    )
    return np.asarray(sound[late:], np.float32)
