"""Training windows: stretches of recordings to predict, with the context that the predictions see."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Int32

from wavedil.data.batching import ABSENT, ALL, TARGETS, BatchOrder, Part
from wavedil.data.recording import Recording
from wavedil.errors import UserError, require_positive
from wavedil.frames import BEYOND, crop, num_frames, sound_frames, stretch
from wavedil.labels import Vocabulary


class Batch(NamedTuple):
    """One training batch, as `WaveNet.log_prob` takes it.

    Attributes:
      codes: [batch, time]: the targets; BEYOND, which does not count, after a recording's end.
      context: [batch, context_samples]: the samples before them, BEYOND before the silence that a recording begins
        after; or [batch, 1], that silence alone, where all of them begin with their recordings.
      labels: Name -> [batch]; 0 is unlabelled, i + 1 the label's value i.
      features: [batch, frames, features]: the frames of the targets and of the context but its last sample, and
        `lookaround_frames` more on either side, zero beyond the recording; where the sound itself serves as features,
        its frames (`sound_frames`); None for recordings without features.
    """

    codes: Int32[np.ndarray, "batch time"]
    context: Int32[np.ndarray, "batch context_time"]
    labels: dict[str, Int32[np.ndarray, " batch"]]
    features: (
        Float32[np.ndarray, "batch frames features"] | Int32[np.ndarray, "batch frames hop"] | None
    ) = None


class TrainingWindows:
    """Batches of windows whose every prediction sees its whole field.

    A pass predicts every sample of every recording exactly once. A recording is cut into windows of equal length,
    the last of them shorter; each brings the samples before it that its predictions see:

        recording   |---- window 0 ----|---- window 1 ----|-- window 2 --|
        seen by 1            |-context-|==== targets =====|
        seen by 0  |-silence-|==== targets =====|

    Before a recording's first sample there is silence, and before that nothing. No window holds samples of two
    recordings. With features or a context stack, windows begin at multiples of `frame_size`.

    Windows of about the same length meet in a batch, those that begin with their recordings apart from the others,
    for they need no context. So nearly all that is computed counts, whatever lengths there are; what does not is the
    padding to one of a few lengths, which are chosen to fit the recordings, because a training step is compiled for
    each.

    The order of windows and batches is shuffled anew in each pass; a pass over very few windows is joined with others,
    so that its last batch is full. A batch is a pure function of the seed and the step: training that resumes at
    step N sees what an uninterrupted run sees, and no state of an iterator is kept.

    Args:
      recordings: What to train on; codes of one quantizer.
      window_size: Most targets in a window, rounded down to complete frames, of which there is at least one.
      context_samples: Samples before a window that its predictions depend on, as `WaveNetConfig.context_samples`.
      batch_size: Windows in a batch; None: as many of their length as predict about 8192 samples.
      label_values: Label -> its values, as `Corpus.label_values`.
      seed: Of the order.
      levels: Levels of the codes; silence is levels // 2.
      frame_size: Samples between which there is no cut, as `WaveNetConfig.frame_size`.
      hop: Samples that a frame of the recordings' features covers; 1 where they have none.
      lookaround_frames: Frames of context on either side.
      sound_as_features: Whether the frames are those of the sound itself, which is what an autoencoder takes.

    Attributes:
      num_targets_per_epoch: Samples of all recordings.
      num_windows_per_pass: Windows that together predict every sample once.

    Raises:
      UserError: If there is no recording, or a size is below 1.

    Example:
      windows = TrainingWindows(corpus.train, window_size=8192, context_samples=3071,
                                label_values=corpus.label_values, seed=0)
      batch = windows.batch(step=0)
    """

    def __init__(
        self,
        recordings: Sequence[Recording],
        *,
        window_size: int,
        context_samples: int,
        batch_size: int | None = None,
        label_values: Mapping[str, tuple[str, ...]],
        seed: int,
        levels: int = 256,
        frame_size: int = 1,
        hop: int = 1,
        lookaround_frames: int = 0,
        sound_as_features: bool = False,
    ) -> None:
        require_positive(
            window_size=window_size,
            context_samples=context_samples,
            batch_size=batch_size,
            frame_size=frame_size,
            hop=hop,
        )
        if not recordings:
            raise UserError("there are 0 recordings to train on; at least 1 is needed")
        self._recordings = tuple(recordings)
        self._context_samples, self._silence = context_samples, levels // 2
        self._hop, self._lookaround_frames = hop, lookaround_frames
        self._sound_as_features = sound_as_features
        self._labels = Vocabulary(label_values).rows_of([item.labels for item in recordings])
        lengths = np.array([recording.num_samples for recording in recordings])
        self.num_targets_per_epoch = int(lengths.sum())
        # Of every recording: its first window, and how many samples its windows predict, but for the last.
        window_size = max(frame_size, window_size // frame_size * frame_size)
        num_windows = -(-lengths // window_size)
        self._lengths, self._first = lengths, np.cumsum(num_windows) - num_windows
        self._equal = -(-lengths // (num_windows * frame_size)) * frame_size
        self.num_windows_per_pass = int(num_windows.sum())
        # A large corpus has millions of windows: of each there is no more than these, while the order is made.
        number = np.int32 if window_size < 1 << 30 else np.int64
        counts = np.repeat(self._equal.astype(number), num_windows)
        counts[self._first + num_windows - 1] = lengths - (num_windows - 1) * self._equal
        inside = np.ones(len(counts), bool)
        inside[self._first] = False
        self._order = BatchOrder(counts, inside, batch_size, seed)

    @property
    def steps_per_round(self) -> int:
        """Batches that together predict every sample equally often."""
        return self._order.steps_per_round

    @property
    def batch_sizes(self) -> set[int]:
        """Windows that batches have."""
        return self._order.batch_sizes

    def describe(self, steps: int) -> list[str]:
        """What a training of so many steps predicts, in a line for people."""
        passes = steps * self._order.passes / self.steps_per_round
        targets = passes * self.num_targets_per_epoch / steps
        # A model that sees both ways is given no context beside the sample itself.
        seen = self._context_samples
        before = f", each from the {seen:,} before it" if seen > 1 else ""
        return [
            f"{targets:,.0f} samples predicted a step{before}; {steps:,} steps are {passes:,.3g} passes over the "
            "recordings"
        ]

    def batch(self, step: int, part: Part = ALL) -> Batch:
        """The batch of a step, 0 or more, or a part of it; the same for the same seed and step, always."""
        if step < 0:
            raise UserError(f"step is {step}; steps are counted from 0")
        group, windows = self._order.batch(step)
        windows = part.of(windows)
        context = self._context_samples if group.has_context else 1
        rows = [self._cut(int(window), context, group.length) for window in windows]
        codes, before, features = zip(*rows, strict=True)
        recordings = self._recording(windows)  # of an absent window any will do
        return Batch(
            np.stack(codes),
            np.stack(before),
            {name: rows[recordings] for name, rows in self._labels.items()},
            None if features[0] is None else np.stack(features),
        )

    def _recording(self, windows: Any) -> Any:
        """Which recordings windows are of."""
        return np.searchsorted(self._first, windows, side="right") - 1

    def _cut(self, window: int, context: int, length: int) -> tuple[Any, Any, Any]:
        """Targets, context and features of a window."""
        number = int(self._recording(window))
        recording, equal = self._recordings[number], int(self._equal[number])
        begin = (window - int(self._first[number])) * equal
        count = min(equal, int(self._lengths[number]) - begin)
        if window == ABSENT:
            begin, count = 0, 0
        codes = crop(stretch(recording.codes, begin, count), 0, length, BEYOND)
        before = stretch(recording.codes, begin - context, context)
        if begin < context:
            before[context - 1 - begin] = self._silence
        first = (begin - context + 1) // self._hop - self._lookaround_frames
        frames = num_frames(context - 1 + length, self._hop) + 2 * self._lookaround_frames
        if self._sound_as_features:
            return codes, before, sound_frames(recording.codes, first, frames, self._hop)
        features = recording.features
        return codes, before, None if features is None else crop(features, first, frames)


def default_window_size(context_samples: int) -> int:
    """Targets in a window for a model with this context.

    With a context of P samples, layer by layer trimmed to what is read, a window of T targets costs the layers about
    `T + P / 2` samples, so that T = 1.5 P makes three quarters of the work count.
    """
    return max(TARGETS, 1024 * num_frames(3 * context_samples // 2, 1024))
