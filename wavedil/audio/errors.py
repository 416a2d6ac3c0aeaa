"""The error of a sound file, and the check that reading and writing share."""

import os

import numpy as np

from wavedil.errors import UserError

FilePath = str | os.PathLike[str]


class AudioError(UserError):
    """A sound file cannot be used.

    Attributes:
      path: The file.
      reason: What is wrong with it and the remedy; the message is `path: reason`.
    """

    def __init__(self, path: FilePath, reason: str) -> None:
        super().__init__(f"{os.fspath(path)}: {reason}")
        self.path = os.fspath(path)
        self.reason = reason


def require_finite(path: FilePath, samples: np.ndarray) -> None:
    """Refuses samples that are NaN or infinite."""
    bad = int(samples.size - np.count_nonzero(np.isfinite(samples)))
    if bad:
        reason = (
            f"{bad} of {samples.size} samples are NaN or infinite; export it again from its source"
        )
        raise AudioError(path, reason)
