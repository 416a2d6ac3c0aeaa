"""Training windows: every target sees its whole field, all count equally often, order is a function."""

import dataclasses
import multiprocessing
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavedil import UserError
from wavedil.data import Recording, TrainingWindows
from wavedil.data.windows import default_window_size
from wavedil.frames import BEYOND

LEVELS = 65536
SILENCE = LEVELS // 2


def make_recordings(lengths):
    """Recordings whose every code is unique, and none of them silence."""
    starts = np.cumsum([0, *lengths])
    assert starts[-1] < SILENCE
    return [
        Recording(f"{n}.wav", np.arange(start, start + length, dtype=np.uint16))
        for n, (start, length) in enumerate(zip(starts, lengths, strict=False))
    ]


def make_windows(lengths, window_size, context_samples, batch_size=1, seed=0, **changes):
    options = {"label_values": {}, "levels": LEVELS, **changes}
    return TrainingWindows(
        make_recordings(lengths),
        window_size=window_size,
        context_samples=context_samples,
        batch_size=batch_size,
        seed=seed,
        **options,
    )


def round_of(windows, number=0):
    """The batches of a round, of windows in batches of one: a pass."""
    assert windows.steps_per_round == windows.num_windows_per_pass
    count = windows.steps_per_round
    return [windows.batch(step) for step in range(number * count, (number + 1) * count)]


def targets(batch):
    """The codes that count, of a batch of one."""
    return batch.codes[0][batch.codes[0] != BEYOND]


@st.composite
def cases(draw):
    context_samples = draw(st.integers(1, 12))
    window_size = draw(st.integers(1, 30))
    lengths = draw(st.lists(st.integers(1, 90), min_size=1, max_size=5))
    return lengths, window_size, context_samples, draw(st.integers(0, 2**40))


@given(case=cases())
@settings(max_examples=60, deadline=None)
def test_every_target_sees_its_whole_field(case):
    lengths, window_size, context_samples, seed = case
    signals = [[SILENCE, *item.codes.tolist()] for item in make_recordings(lengths)]
    for batch in round_of(make_windows(lengths, window_size, context_samples, seed=seed)):
        first = batch.codes[0, 0]
        (signal,) = [signal for signal in signals if first in signal]
        begin = signal.index(first)
        count = len(targets(batch))
        np.testing.assert_array_equal(targets(batch), signal[begin : begin + count])
        np.testing.assert_array_equal(batch.codes[0, count:], BEYOND)
        assert 1 <= count <= window_size
        # All of the field where the file has that much; else the silence before it, and nothing before that.
        before = signal[max(0, begin - context_samples) : begin]
        seen = batch.context[0].tolist()
        assert seen[len(seen) - len(before) :] == before
        assert set(seen[: len(seen) - len(before)]) <= {BEYOND}
        assert len(seen) == context_samples or (begin == 1 and len(seen) == 1)


@given(case=cases())
@settings(max_examples=60, deadline=None)
def test_a_pass_predicts_every_sample_of_every_file_exactly_once(case):
    lengths, window_size, context_samples, seed = case
    windows = make_windows(lengths, window_size, context_samples, seed=seed)
    for number in (0, 3):
        counted = [targets(batch) for batch in round_of(windows, number)]
        np.testing.assert_array_equal(np.sort(np.concatenate(counted)), np.arange(sum(lengths)))


@given(case=cases(), batch_size=st.integers(1, 7) | st.none())
@settings(max_examples=60, deadline=None)
def test_a_round_predicts_every_sample_equally_often_and_little_else(case, batch_size):
    lengths, window_size, context_samples, seed = case
    windows = make_windows(lengths, window_size, context_samples, batch_size, seed=seed)
    batches = [windows.batch(step) for step in range(windows.steps_per_round)]
    counted = np.concatenate([batch.codes[batch.codes != BEYOND] for batch in batches])
    times = np.bincount(counted, minlength=sum(lengths))
    assert times.min() == times.max() > 0
    rows = np.concatenate([(batch.codes != BEYOND).any(axis=1) for batch in batches])
    assert np.mean(rows) > 0.8


@given(case=cases(), hop=st.integers(1, 7), lookaround=st.integers(0, 3), factor=st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_windows_begin_with_a_frame_and_bring_every_frame_of_targets_and_context(
    case, hop, lookaround, factor
):
    lengths, window_size, context_frames, seed = case
    frame_size = hop * factor
    context_samples = context_frames * frame_size + 1
    # Each frame holds the number of its recording and its own, from 1 on; 0 is beyond the recording.
    recordings = [
        dataclasses.replace(
            recording,
            features=np.array([[n, i + 1] for i in range(-(-length // hop))], np.float32),
        )
        for n, (recording, length) in enumerate(zip(make_recordings(lengths), lengths, strict=True))
    ]
    windows = TrainingWindows(
        recordings, window_size=window_size, context_samples=context_samples, batch_size=1, seed=seed,
        label_values={}, levels=LEVELS, frame_size=frame_size, hop=hop, lookaround_frames=lookaround,
    )  # fmt: skip
    starts = np.cumsum([0, *lengths])
    for batch in round_of(windows):
        (features,), seen = batch.features, batch.context.shape[1] - 1
        assert len(features) == -(-(seen + batch.codes.shape[1]) // hop) + 2 * lookaround
        recording = int(np.searchsorted(starts, batch.codes[0, 0], side="right")) - 1
        begin = batch.codes[0, 0] - starts[recording]
        assert begin % frame_size == 0 and seen % frame_size == 0
        # Frame i of the window lies at frame (begin - seen) / hop + i - lookaround of the recording.
        frames = np.arange(len(features)) + (begin - seen) // hop - lookaround
        present = (frames >= 0) & (frames < -(-lengths[recording] // hop))
        np.testing.assert_array_equal(features[:, 1], np.where(present, frames + 1, 0))
        np.testing.assert_array_equal(features[:, 0], np.where(present, recording, 0))


def test_windows_of_a_recording_are_equally_long():
    for length, count in ((4096, 1), (4097, 2), (3 * 4096, 3), (3 * 4096 + 1, 4)):
        sizes = sorted(len(targets(batch)) for batch in round_of(make_windows([length], 4096, 9)))
        assert len(sizes) == count and sizes[-1] - sizes[0] < count


def test_batches_whose_windows_begin_with_their_recordings_have_no_context():
    """One long recording beside many clips: three quarters of the layers' work and more is for targets."""
    lengths = [60000] + [1500 + 7 * n for n in range(200)]
    recordings = [Recording(f"{n}", np.ones(length, np.uint8)) for n, length in enumerate(lengths)]
    context_samples = 3071
    window_size = default_window_size(context_samples)
    windows = TrainingWindows(
        recordings,
        window_size=window_size,
        context_samples=context_samples,
        label_values={},
        seed=0,
    )
    counted, head, layers = 0, 0, 0.0
    for step in range(windows.steps_per_round):
        batch = windows.batch(step)
        counted += int(np.sum(batch.codes != BEYOND))
        head += batch.codes.size
        layers += batch.codes.size + len(batch.codes) * (batch.context.shape[1] - 1) / 2
    assert counted > 0.75 * layers
    assert counted > 0.85 * head


@pytest.mark.parametrize(
    ("lengths", "shape"),
    [
        ([3500] * 100, (2, 3520)),  # spoken digits
        ([16000] * 100, (1, 8000)),  # clips of a second
        ([240 * 4100] * 2, (1, 8192)),  # songs
        ([10] * 100, (64, 64)),
        ([10], (1, 64)),
    ],
)
def test_by_default_a_batch_predicts_about_8192_samples(lengths, shape):
    recordings = [Recording("a", np.ones(length, np.uint8)) for length in lengths]
    windows = TrainingWindows(
        recordings, window_size=8192, context_samples=3071, label_values={}, seed=0
    )
    shapes = [windows.batch(step).codes.shape for step in range(4)]
    assert set(shapes) <= {shape, (shape[0], shape[1] + 64 - shape[1] % 64)}


def test_by_default_three_quarters_of_the_work_counts_however_far_the_model_sees():
    assert default_window_size(1000) == 8192
    assert 1.5 * 20000 <= default_window_size(20001) < 1.6 * 20000


def test_batches_have_few_lengths_that_fit_the_recordings():
    rng = np.random.default_rng(0)
    lengths = [int(length) for length in np.clip(rng.lognormal(6.5, 0.4, 60), 100, 3000)]
    batches = round_of(make_windows(lengths[:40], 2048, 300))
    sizes = [batch.codes.size for batch in batches]
    counted = sum(len(targets(batch)) for batch in batches)
    assert counted == sum(lengths[:40])
    assert 1 < len(set(sizes)) <= 6 and max(sizes) <= 2048
    assert all(size % 64 == 0 for size in sizes)
    # Windows of the full length would count under half of their targets.
    assert counted > 0.75 * sum(sizes)
    assert counted < 0.5 * 2048 * len(sizes)


def test_recordings_of_one_length_are_batches_of_one_length():
    windows = make_windows([1000] * 20, 4096, 100, batch_size=3)
    assert {windows.batch(step).codes.shape for step in range(20)} == {(3, 1024)}


def test_a_small_corpus_is_not_drawn_twice_into_a_batch():
    windows = make_windows([100, 200], 500, 10, batch_size=2)
    for step in range(20):
        assert len(set(windows.batch(step).codes[:, 0].tolist())) == 2


def test_a_batch_depends_on_seed_and_step_alone():
    one, other = (make_windows([50, 70, 90], 20, 6, batch_size=4) for _ in range(2))
    forwards = [one.batch(step) for step in range(30)]
    backwards = [other.batch(step) for step in reversed(range(30))]
    for a, b in zip(forwards, reversed(backwards), strict=True):
        np.testing.assert_array_equal(a.codes, b.codes)
        np.testing.assert_array_equal(a.context, b.context)


def test_a_window_of_one_sample_and_a_recording_of_one_sample_are_predicted():
    assert make_windows([7, 1], 1, 5).num_windows_per_pass == 8
    assert sorted(int(targets(batch)[0]) for batch in round_of(make_windows([7, 1], 1, 5))) == [
        *range(8)
    ]


def test_what_a_training_predicts_is_said_in_a_line():
    (line,) = make_windows([1000, 3000], 1000, 301, batch_size=2).describe(100)
    assert line == (
        "2,000 samples predicted a step, each from the 301 before it; "
        "100 steps are 50 passes over the recordings"
    )


def test_seeds_and_passes_have_different_orders():
    def order(windows, number):
        return [int(batch.codes[0, 0]) for batch in round_of(windows, number)]

    lengths = [10] * 32
    windows = make_windows(lengths, 20, 6)
    orders = [order(windows, 0), order(windows, 1), order(make_windows(lengths, 20, 6, seed=1), 0)]
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(orders[2])
    assert orders[0] != orders[1] != orders[2] != orders[0]


def test_another_process_sees_the_same_batches():
    code = (
        "import test_windows as t; "
        "w = t.make_windows([50, 70, 90], 20, 6, batch_size=4, seed=7); "
        "print([w.batch(step).codes.sum().item() for step in (0, 5, 1000)])"
    )
    windows = make_windows([50, 70, 90], 20, 6, batch_size=4, seed=7)
    here = [windows.batch(step).codes.sum().item() for step in (0, 5, 1000)]
    environment_path = [*sys.path]
    result = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:] = {environment_path!r}; {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == str(here)


def test_no_thread_or_process_stays_behind():
    before = threading.active_count()
    make_windows([50, 70], 20, 6).batch(0)
    assert threading.active_count() == before
    assert not multiprocessing.active_children()


def test_labels_are_counted_from_one_and_zero_is_unlabelled():
    silent = np.zeros(4, np.uint8)
    recordings = [
        Recording("a.wav", silent + 1, {"digit": "0", "speaker": "bob"}),
        Recording("b.wav", silent + 2, {"digit": "7"}),
    ]
    windows = TrainingWindows(
        recordings,
        window_size=8,
        context_samples=4,
        batch_size=6,
        label_values={"digit": ("0", "7"), "speaker": ("ann", "bob")},
        seed=0,
    )
    codes, _, labels, _ = windows.batch(0)
    assert labels["digit"].dtype == np.int32
    np.testing.assert_array_equal(labels["digit"], np.where(codes[:, 0] == 1, 1, 2))
    np.testing.assert_array_equal(labels["speaker"], np.where(codes[:, 0] == 1, 2, 0))


@pytest.mark.parametrize("name", ["window_size", "context_samples", "batch_size", "frame_size"])
def test_sizes_below_one_are_refused(name):
    sizes = {"window_size": 8, "context_samples": 4, "batch_size": 2, name: 0}
    with pytest.raises(UserError, match=f"{name} is 0"):
        make_windows([10], **sizes)


def test_no_recordings_and_a_negative_step_are_refused():
    with pytest.raises(UserError, match="0 recordings"):
        make_windows([], 8, 4)
    with pytest.raises(UserError, match="step is -1"):
        make_windows([10], 8, 4).batch(-1)
