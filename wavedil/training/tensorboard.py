"""Numbers of a run for TensorBoard."""

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path

from wavedil.errors import UserError
from wavedil.files import writing


class TensorBoardFile:
    """A file of scalars in TensorBoard's form, which holds at every moment all that was written.

    The library's own writer hands them to a thread: that meets a full disk where nobody hears of it, and the training
    waits for it for ever.

    Args:
      folder: Made if it is not there.

    Raises:
      UserError: If the library is not installed.
      WriteError: If the disk is full, or refuses.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from tensorboardX.event_file_writer import EventsWriter
        except ImportError as error:
            raise UserError(
                "tensorboard is on, but tensorboardX is not installed; run: pip install tensorboardX"
            ) from error
        self._folder = folder
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._file = EventsWriter(str(folder / "events"))

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Adds the values of a step, by name.

        Raises:
          WriteError: If the disk is full, or refuses.
        """
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        with writing(self._folder):
            for name, value in values.items():
                summary = scalar(name, value)
                self._file.write_event(Event(wall_time=time.time(), step=step, summary=summary))
            self._file.flush()

    def close(self) -> None:
        """Ends the file."""
        with contextlib.suppress(OSError):  # what could not be written was said then
            self._file.close()
