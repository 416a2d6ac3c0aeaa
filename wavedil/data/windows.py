"""Training windows: crops of recordings that carry their left context."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Int32, UInt

from wavedil.data.corpus import Recording
from wavedil.errors import UserError, require_positive
from wavedil.frames import crop, num_frames, sound_frames
from wavedil.labels import Vocabulary

# Each length of batch costs the compilation of a training step.
_MOST_LENGTHS = 6
# Lengths are multiples of this, for the sake of vectors.
_STEP = 64


class Batch(NamedTuple):
    """One training batch.

    Attributes:
      codes: [batch, time + 1]: `codes[:, 1:]` are the targets and `codes[:, :-1]` the
        samples before them. At a file's start `codes[:, 0]` is silence, levels // 2.
      mask: [batch, time], 1 for a target that counts and 0 for one that does not.
      labels: Name -> [batch]; 0 is unlabelled, i + 1 the label's value i.
      features: [batch, frames, features]: the frames of the targets, the first of them at `codes[:, 1]`, and
        `lookaround_frames` more on either side, zero beyond the recording; where the sound itself serves as features,
        its frames (`sound_frames`); None for recordings without features.
    """

    codes: UInt[np.ndarray, "batch time_and_one"]
    mask: Float32[np.ndarray, "batch time"]
    labels: dict[str, Int32[np.ndarray, " batch"]]
    features: (
        Float32[np.ndarray, "batch frames features"] | Int32[np.ndarray, "batch frames hop"] | None
    ) = None


class TrainingWindows:
    """Batches of windows in which every prediction that counts sees its whole field.

    An epoch predicts every sample of every recording exactly once. The targets of a recording
    are cut into consecutive tiles; a tile is seen in a window that begins `receptive_field - 1`
    samples earlier, and those earlier targets are masked, for their field is not filled:

        recording   |-------- tile 0 --------|--- tile 1 ---|--- tile 2 ---|
        window 0    [1 1 1 1 1 1 1 1 1 1 1 1 0]
        window 1               [0 0 0 0 0 0 0 1 1 1 1 1 1 1]
        window 2                              [0 0 0 0 0 0 0 1 1 1 1 1 1 1]  . padding

    Window 0 needs no mask for context: before the first sample there is silence, and that is
    what the model sees. Where the tiles are cut moves at random from epoch to epoch, as far as
    it costs no further window. No window holds samples of two recordings.

    A batch is as long as the longest of its windows, rounded up to one of at most six lengths
    that are chosen to fit the recordings, because a training step is compiled for each length.
    What is left is padded on the right with silence, masked.

    With features, a frame every `hop` samples, windows start at multiples of hop, up to `hop - 1` samples
    earlier than they would have to, and bring `lookaround_frames` before their first frame and after their last.

    The order is shuffled anew in each epoch. A batch is a pure function of the seed and the
    step: training that resumes at step N sees what an uninterrupted run sees, and no state of
    an iterator is kept.

    Args:
      recordings: What to train on; codes of one quantizer.
      window_size: Most targets in a window.
      receptive_field: Receptive field of the model, in samples: a prediction sees that many
        samples before it.
      batch_size: Windows in a batch.
      label_values: Label -> its values, as `Corpus.label_values`.
      seed: Of the order and the cuts.
      levels: Levels of the codes; silence is levels // 2.
      hop: Samples that a frame of the recordings' features covers; 1 where they have none.
      lookaround_frames: Frames of context on either side.
      sound_as_features: Whether the frames are those of the sound itself, which is what an autoencoder takes.

    Raises:
      UserError: If the window is shorter than the receptive field while a recording is longer
        than the window, for then its later samples could not be predicted in full context. A
        corpus of recordings that all fit in a window trains from their starts.

    Example:
      windows = TrainingWindows(corpus.train, window_size=4096, receptive_field=1024, batch_size=4,
                                label_values=corpus.label_values, seed=0)
      batch = windows.batch(step=0)
    """

    def __init__(
        self,
        recordings: Sequence[Recording],
        *,
        window_size: int,
        receptive_field: int,
        batch_size: int,
        label_values: Mapping[str, tuple[str, ...]],
        seed: int,
        levels: int = 256,
        hop: int = 1,
        lookaround_frames: int = 0,
        sound_as_features: bool = False,
    ) -> None:
        require_positive(
            window_size=window_size, receptive_field=receptive_field, batch_size=batch_size, hop=hop
        )
        if not recordings:
            raise UserError("there are 0 recordings to train on; at least 1 is needed")
        _check_window(recordings, window_size, receptive_field, hop)
        self._recordings = tuple(recordings)
        self._window_size, self._batch_size, self._seed = window_size, batch_size, seed
        self._receptive_field, self._silence = receptive_field, levels // 2
        self._hop, self._lookaround_frames = hop, lookaround_frames
        self._sound_as_features = sound_as_features
        # Targets of a window that does not begin at the recording's start, wherever the hops fall.
        self._tile_size = max(1, window_size - (receptive_field - 1) - (hop - 1))
        self._labels = Vocabulary(label_values).rows_of([item.labels for item in recordings])
        num_tiles = [self._num_tiles(len(recording.codes)) for recording in recordings]
        self._recording_of_window = np.repeat(np.arange(len(recordings)), num_tiles)
        self._first_window = np.cumsum([0, *num_tiles])
        self._lengths = self._choose_lengths()
        self._dataset = self._make_dataset()

    @property
    def num_windows_per_epoch(self) -> int:
        """Windows that together predict every sample once."""
        return len(self._recording_of_window)

    def batch(self, step: int) -> Batch:
        """The batch of a step, 0 or more; the same for the same seed and step, always."""
        if step < 0:
            raise UserError(f"step is {step}; steps are counted from 0")
        codes, mask, labels, features = self._dataset[step]
        counting = int(np.flatnonzero(mask.any(axis=0))[-1]) + 1
        length = self._lengths[np.searchsorted(self._lengths, counting)]
        if features is not None:
            features = features[:, : num_frames(length, self._hop) + 2 * self._lookaround_frames]
        return Batch(codes[:, : length + 1], mask[:, :length], labels, features)

    def _make_dataset(self) -> Any:
        # Imported here: grain takes most of a second, and reading a corpus needs none of it.
        import grain

        order = grain.MapDataset.range(self.num_windows_per_epoch).seed(self._seed % 2**32)
        windows = order.shuffle().repeat().map_with_index(self._window)
        return windows.batch(self._batch_size)

    def _choose_lengths(self) -> np.ndarray:
        """The lengths that batches may have, in ascending order; the last is enough for every window."""
        longest = max(len(recording.codes) for recording in self._recordings)
        longest = min(self._window_size, _STEP * -(-longest // _STEP))
        # What windows need where the cuts lie in the middle; elsewhere it is a little more or less.
        needed = []
        for recording in self._recordings:
            num_samples = len(recording.codes)
            for tile in range(self._num_tiles(num_samples)):
                start, _, end = self._tile(num_samples, tile, self._slack(num_samples) // 2)
                needed.append(end - start)
        needed.sort()
        choices = [_quantiles(needed, count, longest) for count in range(1, _MOST_LENGTHS + 1)]
        costs = [choice[np.searchsorted(choice, needed)].sum() for choice in choices]
        # A length more has to pay for its compilation.
        cheap = [cost < 1.05 * min(costs) for cost in costs]
        return choices[cheap.index(True)]

    def _num_tiles(self, num_samples: int) -> int:
        later = max(0, num_samples - self._window_size)
        return 1 + -(-later // self._tile_size)

    def _slack(self, num_samples: int) -> int:
        """Samples that the cuts of a recording of several tiles may move by."""
        covered = self._window_size + (self._num_tiles(num_samples) - 1) * self._tile_size
        return covered - num_samples if num_samples > self._window_size else 0

    def _tile(self, num_samples: int, tile: int, shift: int) -> tuple[int, int, int]:
        """Where a window starts, and its targets begin and end, in samples of the recording."""
        # The first tile gives up `shift` targets; every later one begins that much earlier.
        if tile == 0:
            begin, end = 0, self._window_size - shift
        else:
            begin = self._window_size - shift + (tile - 1) * self._tile_size
            end = begin + self._tile_size
        start = max(0, begin - self._receptive_field + 1)
        return start - start % self._hop, begin, min(end, num_samples)

    def _window(self, index: int, window: int) -> Batch:
        """Window number `window` of an epoch, as the `index`-th of the whole training."""
        recording = int(self._recording_of_window[window])
        tile = int(window - self._first_window[recording])
        # One draw an epoch and recording, so that its tiles fit together.
        epoch = index // self.num_windows_per_epoch
        rng = np.random.default_rng([self._seed % 2**32, epoch, recording])
        codes = self._recordings[recording].codes
        shift = int(rng.integers(self._slack(len(codes)) + 1))
        start, begin, end = self._tile(len(codes), tile, shift)
        mask = np.zeros(self._window_size, np.float32)
        mask[begin - start : end - start] = 1.0
        labels = {name: indices[recording] for name, indices in self._labels.items()}
        features = self._crop_features(self._recordings[recording], start)
        # One sample more at the front: the one before the first target, silence at a recording's start.
        seen = crop(codes, start - 1, self._window_size + 1, self._silence)
        return Batch(seen, mask, labels, features)

    def _crop_features(self, recording: Recording, start: int) -> np.ndarray | None:
        """The frames of a complete window from sample `start` on, with their context."""
        first = start // self._hop - self._lookaround_frames
        count = num_frames(self._window_size, self._hop) + 2 * self._lookaround_frames
        if self._sound_as_features:
            return sound_frames(recording.codes, first, count, self._hop)
        return None if recording.features is None else crop(recording.features, first, count)


def _quantiles(needed: Sequence[int], count: int, longest: int) -> np.ndarray:
    """`count` lengths or fewer, each enough for its share of the ascending `needed`; the last is `longest`."""
    shares = [needed[-(-len(needed) * share // count) - 1] for share in range(1, count)]
    lengths = [min(longest, _STEP * -(-length // _STEP)) for length in shares]
    return np.unique([*lengths, longest])


def _check_window(
    recordings: Sequence[Recording], window_size: int, receptive_field: int, hop: int
) -> None:
    longest = max(recordings, key=lambda recording: len(recording.codes))
    needed = receptive_field + hop - 1
    if window_size < needed and len(longest.codes) > window_size:
        frame = f" and the rest of a frame ({hop - 1})" if hop > 1 else ""
        raise UserError(
            f"window of {window_size} samples is shorter than the receptive field "
            f"({receptive_field}){frame}, so no prediction inside {longest.path} ({len(longest.codes)} "
            f"samples) would see its full context; use at least {needed} samples, better "
            f"{2 * needed}, or shorten the dilations"
        )
