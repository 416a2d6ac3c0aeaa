"""The error of a sound file."""

import os

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
