"""Numbers and sounds of a run for TensorBoard."""

import contextlib
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from wavedil.audio.writing import encoded
from wavedil.errors import UserError
from wavedil.files import writing


class TensorBoardFile:
    """A file of scalars and sounds in TensorBoard's form, which holds at every moment all that was written.

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
        from tensorboardX.summary import scalar

        self._add(step, (scalar(name, value) for name, value in values.items()))

    def write_sounds(
        self, step: int, sounds: Mapping[str, Float[np.ndarray, " time"]], sample_rate: int
    ) -> None:
        """Adds the sounds of a step, by name.

        Raises:
          WriteError: If the disk is full, or refuses.
        """
        from tensorboardX.proto.summary_pb2 import Summary

        self._add(
            step,
            (
                Summary(value=[Summary.Value(tag=name, audio=self._audio(samples, sample_rate))])
                for name, samples in sounds.items()
            ),
        )

    @staticmethod
    def _audio(samples: np.ndarray, sample_rate: int) -> Any:
        from tensorboardX.proto.summary_pb2 import Summary

        return Summary.Audio(
            sample_rate=sample_rate,
            num_channels=1,
            length_frames=len(samples),
            encoded_audio_string=encoded(samples, sample_rate, "WAV"),
            content_type="audio/wav",
        )

    def _add(self, step: int, summaries: Iterable[Any]) -> None:
        from tensorboardX.proto.event_pb2 import Event

        with writing(self._folder):
            for summary in summaries:
                self._file.write_event(Event(wall_time=time.time(), step=step, summary=summary))
            self._file.flush()

    def close(self) -> None:
        """Ends the file."""
        with contextlib.suppress(OSError):  # what could not be written was said then
            self._file.close()
