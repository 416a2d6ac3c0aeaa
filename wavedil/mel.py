"""Log-mel spectra of a sound, a frame every `hop` samples.

Frame i covers samples `i hop .. (i + 1) hop - 1`, so a sound has `ceil(samples / hop)` frames.
"""

import dataclasses
import functools
import warnings
from typing import Any, Literal, Self

import numpy as np
from jaxtyping import Float, Float32

from wavedil.config import Config, decided
from wavedil.errors import UserError, require_positive
from wavedil.frames import num_frames
from wavedil.full_scale import within_full_scale

# Long enough to tell the harmonics of a low voice apart, short enough to follow speech.
_SHORTEST_FFT_SECONDS = 0.04
# Spectra of a long recording are computed this many frames at a time, to bound the memory.
_BLOCK_FRAMES = 4096


@dataclasses.dataclass(frozen=True, kw_only=True)
class MelConfig(Config):
    """How log-mel spectra are computed: everything that librosa takes.

    Example:
      >>> MelConfig(num_mels=40).at(16000).hop
      256
    """

    sample_rate: int | None = decided(by="the recordings", default=None)
    """Hz of the sound; None: that of the recordings."""
    num_mels: int = 80
    """Bands of a frame."""
    fft_size: int | None = None
    """Samples of a frame's Fourier transform; None: the power of two that lasts 40 ms or more."""
    window_size: int | None = None
    """Samples of its window, at most fft_size; None: as many."""
    hop: int | None = None
    """Samples from one frame to the next; None: a quarter of fft_size."""
    lowest_hz: float = 0.0
    """Lower edge of the lowest band (Hz)."""
    highest_hz: float | None = None
    """Upper edge of the highest band (Hz); None: half the sample rate."""
    window: Literal["hann", "hamming", "blackman"] = "hann"
    """Shape of the window."""
    padding: Literal["constant", "reflect"] = "constant"
    """The signal before and after the recording: silence, or its mirror image."""
    centre: Literal["first", "middle"] = "first"
    """Which of the samples that a frame covers its Fourier transform lies around: the first, or the middle one."""
    power: float = 1.0
    """Exponent of the magnitudes: 1, or 2 for energies."""
    scale: Literal["slaney", "htk"] = "slaney"
    """Formula of the mel scale."""
    norm: Literal["slaney", "none"] = "slaney"
    """Bands of equal area, or of equal height."""
    smallest: float = 1e-5
    """Magnitudes below this count as this, which becomes 0."""
    energy_floor: float = 0.0
    """Added to the square of every Fourier magnitude."""

    def __post_init__(self) -> None:
        super().__post_init__()
        sizes = ("sample_rate", "num_mels", "fft_size", "window_size", "hop")
        require_positive("mel", **{name: getattr(self, name) for name in sizes})
        if self.fft_size and self.window_size and self.window_size > self.fft_size:
            raise UserError(
                f"mel window_size is {self.window_size}, longer than fft_size {self.fft_size}; "
                "make fft_size at least as long"
            )
        if not self.power > 0 or not 0 < self.smallest < 1 or not 0 <= self.energy_floor < 1:
            raise UserError(
                f"mel power is {self.power}, smallest {self.smallest} and energy_floor {self.energy_floor}; power must "
                "be above 0, smallest between 0 and 1, and energy_floor at least 0 and below 1"
            )
        nyquist = np.inf if self.sample_rate is None else self.sample_rate / 2
        highest = nyquist if self.highest_hz is None else self.highest_hz
        if not 0 <= self.lowest_hz < highest <= nyquist:
            raise UserError(
                f"mel bands from {self.lowest_hz:g} Hz to {highest:g} Hz do not fit into sound of 0 to "
                f"{nyquist:g} Hz; choose 0 <= lowest_hz < highest_hz within it"
            )

    @classmethod
    def tacotron2(cls, **changes: Any) -> Self:
        """The mel spectra of NVIDIA's Tacotron 2 and of WaveGlow, at 22,050 Hz; other changes on request.

        Theirs are the logarithms themselves, (1 - m) log(1e-5) of the m that `mel` gives.
        """
        sizes: dict[str, Any] = {"num_mels": 80, "fft_size": 1024, "window_size": 1024, "hop": 256}
        given: dict[str, Any] = {"sample_rate": 22050, "highest_hz": 8000.0, "padding": "reflect"}
        return cls(**(sizes | given | changes))

    @classmethod
    def hifigan(cls, **changes: Any) -> Self:
        """The mel spectra of HiFi-GAN's published models, at 22,050 Hz; other changes on request.

        Theirs are the logarithms themselves, (1 - m) log(1e-5) of the m that `mel` gives.
        """
        return cls.tacotron2(**({"centre": "middle", "energy_floor": 1e-9} | changes))

    @property
    def complete(self) -> bool:
        """Whether every size is a number, as `at` makes them."""
        sizes = (self.sample_rate, self.fft_size, self.window_size, self.hop, self.highest_hz)
        return None not in sizes

    def at(self, sample_rate: int) -> Self:
        """These settings with every None replaced by what suits the sample rate.

        Raises:
          UserError: If they are for another rate, or a band is so narrow that it is empty.
        """
        if self.sample_rate not in (None, sample_rate):
            raise UserError(
                f"mel settings are for {self.sample_rate} Hz, but the sound has {sample_rate} Hz; resample it "
                f"(sample_rate={self.sample_rate}), or leave mel sample_rate out"
            )
        fitting = 1 << int(np.ceil(np.log2(max(1.0, _SHORTEST_FFT_SECONDS * sample_rate))))
        fft_size = self.fft_size or max(fitting, self.window_size or 1)
        settings = dataclasses.replace(
            self,
            sample_rate=sample_rate,
            fft_size=fft_size,
            window_size=self.window_size or fft_size,
            hop=self.hop or max(1, fft_size // 4),
            highest_hz=sample_rate / 2 if self.highest_hz is None else self.highest_hz,
        )
        filters(settings)  # refuses now what would fail at every recording
        return settings


def mel(
    samples: Float[np.ndarray, " time"], settings: MelConfig
) -> Float32[np.ndarray, "frames num_mels"]:
    """Log-mel spectra of a sound, a frame every `hop` samples, scaled to about 0 .. 1.

        m[i, b] = 1 - log(max(a[i, b], smallest)) / log(smallest)

    with a[i, b] band b of the Fourier magnitudes around sample i hop (or around the middle of its frame):

        hop=4, fft_size=8    samples        0 1 2 3 4 5 6 7 8 9
                             frame 0  |. . . . 0 1 2 3|              around sample 0, covers 0 1 2 3
                             frame 1          |0 1 2 3 4 5 6 7|      around sample 4, covers 4 5 6 7
                             frame 2                  |4 5 6 7 8 9 . .|    around 8, covers 8 9

    Args:
      samples: Sound in [-1, 1], at the settings' rate.
      settings: Complete ones, as `MelConfig.at` makes them and a model holds them
        (`model.config.local_conditioning.mel`).

    Returns:
      `ceil(samples / hop)` frames; 0 is silence.

    Raises:
      UserError: If the sound is shorter than one frame, or is integers, not finite or far beyond full scale, or the
        settings are not complete.

    Example:
      >>> mel(np.zeros(16000), MelConfig().at(16000)).shape
      (63, 80)
    """
    rate, fft_size, hop = sizes(settings)
    samples = within_full_scale(samples).astype(np.float32, copy=False)
    if samples.ndim != 1:
        raise UserError(f"samples have shape {samples.shape}, but a sound is mono [time]")
    if len(samples) < fft_size:
        raise UserError(
            f"{len(samples)} samples ({len(samples) / rate:.3g} s) are shorter than one mel frame ({fft_size} "
            f"samples, {fft_size / rate:.3g} s at {rate} Hz); leave it out, or give a longer one"
        )
    import librosa

    middle = settings.centre == "middle"
    half = (fft_size - hop) // 2 if middle else fft_size // 2
    frames = num_frames(len(samples), hop)
    # A last frame that the samples do not fill lies around its middle all the same.
    padded = np.pad(samples, (half, half + hop), mode=settings.padding)
    scaled = np.empty((frames, settings.num_mels), np.float32)
    for start in range(0, frames, _BLOCK_FRAMES):
        stop = min(start + _BLOCK_FRAMES, frames)
        spectra = librosa.stft(
            padded[start * hop : (stop - 1) * hop + fft_size],
            n_fft=fft_size,
            hop_length=hop,
            win_length=settings.window_size,
            window=settings.window,
            center=False,
        )
        magnitudes = np.abs(spectra)
        if settings.energy_floor:
            magnitudes = np.sqrt(magnitudes**2 + np.float32(settings.energy_floor))
        bands = filters(settings) @ magnitudes ** np.float32(settings.power)
        # Divided first, so that silence is 0 to the last bit.
        levels = np.log(np.maximum(bands / np.float32(settings.smallest), 1.0)).T
        scaled[start:stop] = levels / -np.log(settings.smallest)
    return scaled


def sizes(settings: MelConfig) -> tuple[int, int, int]:
    """Sample rate, samples of a Fourier transform, and hop of complete settings.

    Raises:
      UserError: If they are not complete.
    """
    rate, fft_size, hop = settings.sample_rate, settings.fft_size, settings.hop
    if rate is None or fft_size is None or hop is None:
        raise UserError("mel settings leave sizes open; complete them: settings.at(sample_rate)")
    return rate, fft_size, hop


@functools.lru_cache(maxsize=8)
def filters(settings: MelConfig) -> Any:
    """The bands each frequency belongs to, and how much: a sparse matrix [num_mels, frequencies].

    A frequency is in two bands at most. A dense matmul would do forty times the work, and its threads cost a short
    recording more than all else.

    Raises:
      UserError: If a band is narrower than the distance of two frequencies, and so is empty.
    """
    import librosa
    import scipy.sparse

    rate, fft_size, _ = sizes(settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # librosa's words for what is refused below
        filters: np.ndarray = librosa.filters.mel(
            sr=rate,
            n_fft=fft_size,
            n_mels=settings.num_mels,
            fmin=settings.lowest_hz,
            fmax=settings.highest_hz,
            htk=settings.scale == "htk",
            norm="slaney" if settings.norm == "slaney" else None,
        )
    empty = int(np.count_nonzero(filters.max(axis=1) == 0))
    if empty:
        raise UserError(
            f"{empty} of {settings.num_mels} mel bands hold no frequency of a Fourier transform of {fft_size} "
            f"samples at {rate} Hz; use fewer bands (num_mels) or a larger fft_size"
        )
    return scipy.sparse.csr_array(filters)
