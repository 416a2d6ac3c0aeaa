"""Batches of frames of features to predict, with the frames before them that the predictions see."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int32

from wavedil.data.batching import ABSENT, ALL, BatchOrder, Part
from wavedil.errors import UserError, require_positive
from wavedil.frames import crop

_BATCH_SIZE = 32
# Sounds of few frames are not padded to many.
_STEP = 8


class FrameBatch(NamedTuple):
    """One training batch, as `FeatureNet.log_prob` takes it.

    Attributes:
      frames: The frames to predict, and those before them; zero where there is none.
      there: True where there is a frame.
      counted: True where it is one to predict.
      ended: Whether the sound ends with the last frame of its row.
      labels: Name -> the row of each; 0 is unlabelled, i + 1 the label's value i.
    """

    frames: Float32[np.ndarray, "batch time num_features"]
    there: Bool[np.ndarray, "batch time"]
    counted: Bool[np.ndarray, "batch time"]
    ended: Bool[np.ndarray, " batch"]
    labels: dict[str, Int32[np.ndarray, " batch"]]


class FrameWindows:
    """Batches of windows of sounds given as frames, whose every prediction sees its whole field.

    A pass predicts every frame of every sound exactly once; a sound that is longer than a window is cut, and each part
    brings the frames before it. Windows of about the same length meet in a batch. A batch is a pure function of the
    seed and the step.

    Args:
      sounds: The frames of each.
      labels: Name -> the row of each sound.
      window_frames: Most frames that a window predicts.
      context_frames: Frames before a window that its predictions depend on.
      batch_size: Windows in a batch; 32 by default.
      seed: Of the order.

    Raises:
      UserError: If there is no sound, or a size is below 1.
    """

    def __init__(
        self,
        sounds: Sequence[Float32[np.ndarray, "frames num_features"]],
        labels: Mapping[str, Int32[np.ndarray, " sounds"]],
        *,
        window_frames: int,
        context_frames: int,
        batch_size: int | None,
        seed: int,
    ) -> None:
        require_positive(window_frames=window_frames, batch_size=batch_size)
        if not sounds:
            raise UserError("there are 0 recordings to train on; at least 1 is needed")
        self._sounds, self._labels, self._context = tuple(sounds), labels, context_frames
        lengths = np.array([len(frames) for frames in sounds])
        num_windows = -(-lengths // window_frames)
        self._sound = np.repeat(np.arange(len(lengths)), num_windows)
        first = np.repeat(np.cumsum(num_windows) - num_windows, num_windows)
        equal = np.repeat(-(-lengths // num_windows), num_windows)
        self._begin = (np.arange(len(first)) - first) * equal
        self._count = np.clip(lengths[self._sound] - self._begin, 0, equal)
        self._order = BatchOrder(
            self._count, self._begin > 0, batch_size or _BATCH_SIZE, seed, step=_STEP
        )

    @property
    def batch_sizes(self) -> set[int]:
        """Windows that batches have."""
        return self._order.batch_sizes

    def describe(self, steps: int) -> list[str]:
        """What a training of so many steps predicts, in a line for people."""
        passes = steps * self._order.passes / self._order.steps_per_round
        frames = passes * int(self._count.sum()) / steps
        return [
            f"{frames:,.0f} frames predicted a step; {steps:,} steps are {passes:,.3g} passes over the recordings"
        ]

    def batch(self, step: int, part: Part = ALL) -> FrameBatch:
        """The batch of a step, 0 or more, or a part of it; the same for the same seed and step, always."""
        group, windows = self._order.batch(step)
        windows = part.of(windows)
        context = self._context if group.has_context else 0
        time = np.arange(-context, group.length)
        present = windows != ABSENT
        sound = np.where(present, self._sound[windows], 0)
        begin, count = self._begin[windows], np.where(present, self._count[windows], 0)
        there = (begin[:, None] + time >= 0) & (time < count[:, None]) & present[:, None]
        frames = [
            crop(self._sounds[number], first - context, context + group.length)
            for number, first in zip(sound.tolist(), begin.tolist(), strict=True)
        ]
        lengths = np.array([len(self._sounds[number]) for number in sound])
        return FrameBatch(
            frames=np.where(there[..., None], np.stack(frames), 0).astype(np.float32),
            there=there,
            counted=there & (time >= 0),
            ended=present & (begin + count == lengths),
            labels={
                name: np.where(present, rows[sound], 0).astype(np.int32)
                for name, rows in self._labels.items()
            },
        )
