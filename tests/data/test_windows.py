"""Training windows: what counts sees its whole field, everything counts once, order is a function."""

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


def make_windows(lengths, window_size, receptive_field, batch_size=1, seed=0, **changes):
    options = {"label_values": {}, "levels": LEVELS, **changes}
    return TrainingWindows(
        make_recordings(lengths),
        window_size=window_size,
        receptive_field=receptive_field,
        batch_size=batch_size,
        seed=seed,
        **options,
    )


def epoch_of(windows, epoch=0):
    """Codes and mask of every window of an epoch, of windows in batches of one."""
    count = windows.num_windows_per_epoch
    batches = [windows.batch(step) for step in range(epoch * count, (epoch + 1) * count)]
    return [(batch.codes[0], batch.mask[0]) for batch in batches]


@st.composite
def cases(draw):
    receptive_field = draw(st.integers(1, 12))
    window_size = draw(st.integers(receptive_field, 30))
    lengths = draw(st.lists(st.integers(1, 90), min_size=1, max_size=5))
    return lengths, window_size, receptive_field, draw(st.integers(0, 2**40))


@given(case=cases())
@settings(max_examples=60, deadline=None)
def test_every_target_that_counts_sees_its_whole_field(case):
    lengths, window_size, receptive_field, seed = case
    signals = [[SILENCE, *item.codes.tolist()] for item in make_recordings(lengths)]
    for codes, mask in epoch_of(make_windows(lengths, window_size, receptive_field, seed=seed)):
        for index in np.flatnonzero(mask):
            target, seen = codes[index + 1], codes[: index + 1].tolist()
            (signal,) = [signal for signal in signals if target in signal]
            before = signal[: signal.index(target)]
            # All of the field where the file has that much; else all the file, and silence.
            field = before[-receptive_field:]
            assert seen[-len(field) :] == field
            if len(before) < receptive_field:
                assert seen == before


@given(case=cases())
@settings(max_examples=60, deadline=None)
def test_an_epoch_predicts_every_sample_of_every_file_exactly_once(case):
    lengths, window_size, receptive_field, seed = case
    windows = make_windows(lengths, window_size, receptive_field, seed=seed)
    for epoch in (0, 3):
        counted = [codes[1:][mask == 1] for codes, mask in epoch_of(windows, epoch)]
        np.testing.assert_array_equal(np.sort(np.concatenate(counted)), np.arange(sum(lengths)))


@given(case=cases())
@settings(max_examples=60, deadline=None)
def test_no_window_joins_two_files_and_padding_is_masked_silence(case):
    lengths, window_size, receptive_field, seed = case
    ends = np.cumsum(lengths)
    for codes, mask in epoch_of(make_windows(lengths, window_size, receptive_field, seed=seed)):
        present = codes[codes != SILENCE].astype(int)
        assert len(set(np.searchsorted(ends, present, side="right"))) == 1
        np.testing.assert_array_equal(np.diff(present), 1)
        # Silence stands before a file's first sample and after the last present one only.
        begin = int(codes[0] == SILENCE)
        assert (codes[begin : begin + len(present)] != SILENCE).all()
        assert not mask[codes[1:] == SILENCE].any()


@given(case=cases(), hop=st.integers(1, 7), context=st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_windows_begin_with_a_frame_and_bring_every_frame_of_their_targets(case, hop, context):
    lengths, window_size, receptive_field, seed = case
    window_size += hop - 1
    # Each frame holds the number of its recording and its own, from 1 on; 0 is beyond the recording.
    recordings = [
        dataclasses.replace(
            recording,
            features=np.array([[n, i + 1] for i in range(-(-length // hop))], np.float32),
        )
        for n, (recording, length) in enumerate(zip(make_recordings(lengths), lengths, strict=True))
    ]
    windows = TrainingWindows(
        recordings, window_size=window_size, receptive_field=receptive_field, batch_size=1, seed=seed,
        label_values={}, levels=LEVELS, hop=hop, lookaround_frames=context,
    )  # fmt: skip
    counted = 0
    for step in range(windows.num_windows_per_epoch):
        codes, mask, _, (features,) = windows.batch(step)
        counted += int(mask.sum())
        assert len(features) == -(-mask.shape[1] // hop) + 2 * context
        starts = np.cumsum([0, *lengths])
        for index in np.flatnonzero(mask[0]):
            code = int(codes[0, index + 1])
            recording = int(np.searchsorted(starts, code, side="right")) - 1
            frame, num_frames = (code - starts[recording]) // hop, -(-lengths[recording] // hop)
            around = np.arange(frame - context, frame + context + 1)
            present = (around >= 0) & (around < num_frames)
            seen = features[index // hop : index // hop + 2 * context + 1]
            np.testing.assert_array_equal(seen[:, 1], np.where(present, around + 1, 0))
            np.testing.assert_array_equal(seen[:, 0], np.where(present, recording, 0))
    assert counted == sum(lengths)


def test_a_window_must_hold_the_field_and_the_rest_of_a_frame():
    with pytest.raises(
        UserError, match=r"\(12\) and the rest of a frame \(4\).*at least 16 samples"
    ):
        make_windows([100], 15, 12, hop=5)
    assert make_windows([100], 16, 12, hop=5).num_windows_per_epoch == 1 + 84


def test_most_windows_count_all_they_can():
    # 4096 targets from a start and 1025 from each later window of 4096 with a field of 3072.
    windows = make_windows([4096, 4097, 4096 + 1025, 4096 + 1026], 4096, 3072)
    assert windows.num_windows_per_epoch == 1 + 2 + 2 + 3


def test_cuts_move_from_epoch_to_epoch():
    windows = make_windows([100], 30, 10)
    first_tiles = {
        int(mask.sum()) for n in range(20) for codes, mask in epoch_of(windows, n) if codes[1] == 0
    }
    assert len(first_tiles) > 5


def test_batches_have_one_shape_and_type_at_every_step():
    windows = make_windows([5, 40, 100], 20, 6, batch_size=3)
    for step in range(20):
        codes, mask, *_ = windows.batch(step)
        assert (codes.shape, codes.dtype) == ((3, 21), np.uint16)
        assert (mask.shape, mask.dtype) == ((3, 20), np.float32)
        assert set(np.unique(mask)) <= {0.0, 1.0}


def test_batches_are_cut_to_few_lengths_that_fit_the_recordings():
    rng = np.random.default_rng(0)
    lengths = [int(length) for length in np.clip(rng.lognormal(6.5, 0.4, 60), 100, 3000)]
    windows = make_windows(lengths[:40], 2048, 300)
    batches = [windows.batch(step) for step in range(windows.num_windows_per_epoch)]
    sizes = [batch.mask.size for batch in batches]
    counted = sum(int(batch.mask.sum()) for batch in batches)
    assert counted == sum(lengths[:40])
    assert 1 < len(set(sizes)) <= 6 and max(sizes) <= 2048
    assert all(size % 64 == 0 for size in sizes)
    assert all(batch.codes.shape[1] == batch.mask.shape[1] + 1 for batch in batches)
    # Windows of the full length would count under half of their targets.
    assert counted > 0.75 * sum(sizes)
    assert counted < 0.5 * 2048 * len(sizes)


def test_recordings_of_one_length_are_batches_of_one_length():
    windows = make_windows([1000] * 20, 4096, 100, batch_size=3)
    assert {windows.batch(step).mask.shape for step in range(20)} == {(3, 1024)}


@pytest.mark.parametrize("length", [501, 640, 900, 1700])
@pytest.mark.parametrize("hop", [1, 64])
def test_batches_are_long_enough_wherever_the_cuts_fall(length, hop):
    windows = make_windows([length], window_size=500, receptive_field=30, hop=hop)
    for epoch in range(30):
        counted = sum(int(mask.sum()) for _, mask in epoch_of(windows, epoch))
        assert counted == length


def test_a_batch_depends_on_seed_and_step_alone():
    one, other = (make_windows([50, 70, 90], 20, 6, batch_size=4) for _ in range(2))
    forwards = [one.batch(step) for step in range(30)]
    backwards = [other.batch(step) for step in reversed(range(30))]
    for a, b in zip(forwards, reversed(backwards), strict=True):
        np.testing.assert_array_equal(a.codes, b.codes)
        np.testing.assert_array_equal(a.mask, b.mask)


def test_seeds_and_epochs_have_different_orders():
    def order(windows, epoch):
        return [int(codes[1]) for codes, _ in epoch_of(windows, epoch)]

    lengths = [10] * 30
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
        receptive_field=4,
        batch_size=6,
        label_values={"digit": ("0", "7"), "speaker": ("ann", "bob")},
        seed=0,
    )
    codes, _, labels, _ = windows.batch(0)
    assert labels["digit"].dtype == np.int32
    np.testing.assert_array_equal(labels["digit"], np.where(codes[:, 1] == 1, 1, 2))
    np.testing.assert_array_equal(labels["speaker"], np.where(codes[:, 1] == 1, 2, 0))


def test_recordings_shorter_than_the_field_train_from_their_starts():
    codes, mask = epoch_of(make_windows([7], 20, 1000))[0]
    np.testing.assert_array_equal(codes, [SILENCE, *range(7), *[SILENCE] * 13])
    np.testing.assert_array_equal(mask, [1] * 7 + [0] * 13)


def test_a_window_shorter_than_the_field_is_refused_where_a_file_is_longer():
    message = (
        r"window of 2000 samples is shorter than the receptive field \(3070\).*"
        r"1.wav \(5000 samples\).*at least 3070 samples"
    )
    with pytest.raises(UserError, match=message):
        make_windows([10, 5000], 2000, 3070)
    assert make_windows([10, 2000], 2000, 3070).num_windows_per_epoch == 2
    assert make_windows([10, 5000], 3070, 3070).num_windows_per_epoch > 2


@pytest.mark.parametrize("name", ["window_size", "receptive_field", "batch_size"])
def test_sizes_below_one_are_refused(name):
    sizes = {"window_size": 8, "receptive_field": 4, "batch_size": 2, name: 0}
    with pytest.raises(UserError, match=f"{name} is 0"):
        make_windows([10], **sizes)


def test_no_recordings_and_a_negative_step_are_refused():
    with pytest.raises(UserError, match="0 recordings"):
        make_windows([], 8, 4)
    with pytest.raises(UserError, match="step is -1"):
        make_windows([10], 8, 4).batch(-1)
