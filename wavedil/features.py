"""Features of recordings, a frame every `hop` samples: mel spectra and pitch, and arrays of the user's own."""

import os

import numpy as np
from jaxtyping import Float, Float32

from wavedil.errors import UserError
from wavedil.files import open_regular
from wavedil.frames import num_frames
from wavedil.mel import MelConfig, mel, sizes
from wavedil.pitch import PitchConfig, pitch


def of_sound(
    samples: Float[np.ndarray, " time"], mel_settings: MelConfig, pitch_settings: PitchConfig | None
) -> Float32[np.ndarray, "frames num_features"]:
    """The mel spectra of a sound, and beside them, where there are settings for it, its pitch.

    The last two numbers of a frame are then the period in samples and the voicing.

    Raises:
      UserError: As `mel`.
    """
    spectra = mel(samples, mel_settings)
    if pitch_settings is None:
        return spectra
    return np.concatenate([spectra, pitch(samples, pitch_settings, sizes(mel_settings)[2])], axis=1)


def read(path: str | os.PathLike[str]) -> Float32[np.ndarray, "frames channels"]:
    """The features in a `.npy` file.

    Raises:
      UserError: If the file cannot be read, or is no array [frames, channels] of finite numbers.
    """
    try:
        open_regular(path).close()
        # Mapped, so that a header which promises more than there is takes no memory.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise UserError(
            f"{path} cannot be opened ({error.strerror or error}); check the path"
        ) from None
    except Exception:  # whatever the parser of a damaged header raises
        raise UserError(
            f"{path} is no array of numbers, or is cut off; write it with numpy.save"
        ) from None
    if not isinstance(array, np.ndarray) or array.ndim != 2 or not array.size:
        shape = getattr(array, "shape", "of several arrays")
        raise UserError(f"{path} has shape {shape}, but features are [frames, channels]")
    if not (np.issubdtype(array.dtype, np.floating) or np.issubdtype(array.dtype, np.integer)):
        raise UserError(f"{path} holds {array.dtype}, but features are numbers")
    features = array.astype(np.float32)
    bad = int(features.size - np.count_nonzero(np.isfinite(features)))
    if bad:
        raise UserError(
            f"{path}: {bad} of {features.size} numbers are NaN or infinite; compute them again from their source"
        )
    return features


def fit(
    features: Float32[np.ndarray, "frames channels"], num_samples: int, hop: int
) -> Float32[np.ndarray, "frames channels"]:
    """The features of exactly these samples, one frame for each `hop` of them.

    One frame more is ignored where the samples end with a frame, because centred spectra (librosa's) have
    one there.

    Raises:
      UserError: If there are more frames than that, or fewer.
    """
    wanted = num_frames(num_samples, hop)
    if len(features) not in (wanted, num_samples // hop + 1):
        raise UserError(
            f"features have {len(features)} frames, but {num_samples} samples with a frame every {hop} samples take "
            f"{wanted}; compute them with that hop, or set features_hop to theirs"
        )
    return features[:wanted]
