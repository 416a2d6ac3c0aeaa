"""A single recording: its end is held out by time, and nothing of that is in what is trained on."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from wavedil import CorpusConfig, UserError
from wavedil.data import Recording, TrainingWindows
from wavedil.data.listing import Entry
from wavedil.data.split import split
from wavedil.frames import BEYOND

LEVELS = 65536
SILENCE = LEVELS // 2


def recording_of(length, hop):
    """Every code, and with a hop every frame, is the number of its place."""
    frames = -(-length // hop) if hop else 0
    features = np.arange(frames, dtype=np.float32)[:, None] if hop else None
    return Recording("one.wav", np.arange(length, dtype=np.uint16), features=features)


def parts(recording, hop, **settings):
    config = CorpusConfig(folder=".", **settings)
    entries = [Entry(recording.path, None)]
    return split({recording.path: recording}, entries, config, hop)


@given(
    length=st.integers(2, 3000),
    hop=st.none() | st.integers(1, 200),
    held_out=st.floats(0.001, 0.999),
    window_size=st.integers(1, 400),
    context_samples=st.integers(1, 400),
)
@settings(max_examples=100)
def test_what_is_trained_on_ends_where_what_is_scored_begins(
    length, hop, held_out, window_size, context_samples
):
    assume(length > (hop or 1))
    recording = recording_of(length, hop)
    (trained,), (scored,) = parts(recording, hop, held_out=held_out)
    cut, end = scored.scored
    assert 1 <= cut < end == length and cut % (hop or 1) == 0
    assert abs((length - cut) - held_out * length) <= (hop or 1)
    np.testing.assert_array_equal(trained.codes, recording.codes[:cut])
    np.testing.assert_array_equal(scored.codes, recording.codes)
    assert trained.scored is None and trained.num_scored + scored.num_scored == length
    windows = TrainingWindows(
        [trained], window_size=window_size, context_samples=context_samples, label_values={},
        seed=0, levels=LEVELS, hop=hop or 1, frame_size=hop or 1, lookaround_frames=2,
    )  # fmt: skip
    for step in range(min(3, windows.steps_per_round)):
        batch = windows.batch(step)
        sound = np.concatenate([batch.codes.ravel(), batch.context.ravel()])
        assert set(sound.tolist()) <= {*range(cut), SILENCE, BEYOND}
        assert hop is None or batch.features.max() < cut // hop


@pytest.mark.parametrize("hop", [None, 100])
def test_a_recording_too_short_for_two_parts_is_refused_with_its_length(hop):
    with pytest.raises(
        UserError, match=r"one\.wav is the only .* 1 samples, too few .* held_out 0"
    ):
        parts(recording_of(1, hop), hop)


@pytest.mark.parametrize("held_out", [0.0, 1.0])
def test_all_or_nothing_of_a_single_recording_is_held_out_where_that_is_asked(held_out):
    recording = recording_of(50, None)
    expected = ((), (recording,)) if held_out else ((recording,), ())
    assert parts(recording, None, held_out=held_out) == expected


def test_a_pattern_or_a_manifest_that_names_a_side_goes_before_time():
    with pytest.raises(UserError, match=r"leaves none of 1 usable recordings to train on"):
        parts(recording_of(50, None), None, test="one")
    config, recording = CorpusConfig(folder="."), recording_of(50, None)
    with pytest.raises(
        UserError, match="manifest's split leaves none of 1 usable recordings to hold"
    ):
        split({"one.wav": recording}, [Entry("one.wav", None, "train")], config, None)
