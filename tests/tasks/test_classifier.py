"""A classifier: from recordings and a label to answers, whole and block by block, in Python and as a command."""

import csv
import json
import re

import jax
import numpy as np
import pytest
from command_line import mistake
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import tone, write, write_silence

import wavedil as wd
from wavedil.cli.main import main
from wavedil.data import LabelledWindows, Recording
from wavedil.evaluation import Follower, confusion, probabilities
from wavedil.tasks import ClassifierTask
from wavedil.training import RunConfig

PITCHES = {"low": 300.0, "mid": 900.0, "high": 2500.0}
LENGTHS = (1000, 1500, 2300)
SMALL = [
    "--model.channels=8", "--model.dilations=1,2", "--mel.num-mels=12", "--mel.fft-size=256",
    "--training.batch-size=6", "--training.steps=60", "--training.evaluate-seconds=100",
]  # fmt: skip
TRAIN = [
    "--task=classifier",
    r"--labels=(?P<pitch>[a-z]+)_(?P<room>[a-z]+)_",
    "--test=_2[.]wav$",
    *SMALL,
]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Tones of three pitches and several lengths, in one room."""
    folder = tmp_path_factory.mktemp("recordings")
    for pitch, frequency in PITCHES.items():
        for number, length in enumerate(LENGTHS):
            samples = tone(
                length, frequency=frequency * (1 + 0.02 * number), level=0.2 + 0.2 * number
            )
            write(folder / f"{pitch}_hall_{number}.wav", samples)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory, recordings):
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert main(["train", str(recordings), str(folder), "--target=pitch", *TRAIN]) == 0
    return folder


@pytest.fixture(scope="module")
def model(run):
    return wd.load(run)


@pytest.fixture(scope="module")
def model_of_samples():
    """One that is given the samples themselves, and is not trained."""
    config = wd.TCNConfig(
        channels=3,
        dilations=(1, 2),
        target="pitch",
        values=("a", "b"),
        sample_rate=8000,
        pooling="last",
    )
    return wd.TCN(config, rngs=nnx.Rngs(0))


def test_held_out_tones_are_told_apart_and_scored_by_label_beside_the_commonest(
    run, capsys, tmp_path
):
    picture = tmp_path / "confusion.png"
    assert main(["evaluate", str(run), f"--picture={picture}"]) == 0
    shown = capsys.readouterr().out
    assert "this model    1.000 accuracy" in shown
    assert "commonest     0.333 accuracy" in shown
    for pitch in PITCHES:
        assert f"{pitch:<5}     1.000" in shown
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert main(["info", str(run), "--json"]) == 0
    # 13 frames, one every 64 samples and of 256.
    assert json.loads(capsys.readouterr().out)["receptive_field_samples"] == 12 * 64 + 256
    assert main(["evaluate", str(run), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["accuracy"] == scores["labels"]["pitch"]["high"]["accuracy"] == 1.0


def test_a_file_is_given_its_value_and_probability(run, recordings, capsys):
    files = [str(recordings / f"{pitch}_hall_2.wav") for pitch in PITCHES]
    assert main(["classify", str(run), *files]) == 0
    header, *lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert header == ["file", "pitch", "probability"]
    assert [line[:2] for line in lines] == [list(pair) for pair in zip(files, PITCHES, strict=True)]
    assert all(1 / 3 < float(line[2]) <= 1 for line in lines)
    assert main(["classify", str(run), *files, "--json"]) == 0
    for answer in json.loads(capsys.readouterr().out).values():
        assert sum(answer.values()) == pytest.approx(1, abs=1e-5)


def test_a_file_that_is_given_twice_has_a_line_for_each_and_one_entry_of_json(
    run, recordings, capsys
):
    one, other = (str(recordings / f"{pitch}_hall_2.wav") for pitch in ("low", "high"))
    assert main(["classify", str(run), one, other, one]) == 0
    _, *lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [one, other, one]
    assert lines[0] == lines[2]
    assert main(["classify", str(run), one, other, one, "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)) == [one, other]


def test_following_a_file_ends_with_the_answer_to_the_whole(run, model, recordings, capsys):
    file = recordings / "mid_hall_2.wav"
    assert main(["classify", str(run), str(file), "--follow"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    whole = wd.classify(model, [wd.audio.load(file)[0]])[0]
    assert len(lines) == 3  # of 2300 samples, 800 each
    assert lines[-1][1:] == ["0.29", "s", "mid", f"{whole.max():.3f}"]


@pytest.mark.parametrize("name", ["model", "model_of_samples"])
def test_the_answer_to_a_stream_does_not_depend_on_its_blocks(name, request):
    model = request.getfixturevalue(name)
    sound = 0.3 * np.random.default_rng(0).standard_normal(1400).clip(-3, 3).astype(np.float32)
    whole = wd.classify(model, [sound])[0]

    @given(cuts=st.lists(st.sampled_from([0, 1, 97, 255, 256, 300, 700, 1399]), max_size=3))
    @settings(max_examples=5, deadline=None)
    def check(cuts):
        follower = Follower(model)
        for block in np.split(sound, sorted(cuts)):
            follower.push(block)
        np.testing.assert_allclose(follower.end(), whole, rtol=1e-4, atol=1e-5)

    check()


def test_sounds_of_a_batch_are_answered_as_each_alone(model):
    sounds = [tone(length, frequency=500.0) for length in LENGTHS]
    together = wd.classify(model, sounds)
    for row, sound in zip(together, sounds, strict=True):
        np.testing.assert_allclose(row, wd.classify(model, [sound])[0], rtol=1e-4, atol=1e-5)


@pytest.mark.long
def test_two_keys_give_two_losses_and_rows_that_are_missing_count_for_nothing(model):
    task = ClassifierTask(target="pitch")
    batch = _windows(_recordings(4), batch_size=4).batch(0)
    one, again, other = (task.loss(model, batch, jax.random.key(seed)) for seed in (0, 0, 1))
    assert one[0] == again[0] != other[0]
    missing = batch._replace(rows=np.where(np.arange(4) == 2, -1, batch.rows))
    named = task.loss(model, missing, jax.random.key(0))[2]
    assert all(weight == 3 for _, weight in named.values())
    only = batch._replace(rows=np.where(np.arange(4) == 2, batch.rows, -1))
    total = (
        task.loss(model, missing, jax.random.key(0))[0]
        + task.loss(model, only, jax.random.key(0))[0]
    )
    assert float(total) == pytest.approx(float(one[0]), rel=1e-5)


def test_passes_take_every_recording_equally_often_whole_and_are_a_function_of_the_seed():
    recordings = _recordings(5)
    windows, again = _windows(recordings, batch_size=2), _windows(recordings, batch_size=2)
    seen = []
    for step in range(5):
        batch, other = windows.batch(step), again.batch(step)
        for part, same in zip(batch, other, strict=True):
            np.testing.assert_array_equal(part, same)
        rows = zip(batch.inputs, batch.mask, batch.rows, strict=True)
        seen += [(x[there].tobytes(), int(row)) for x, there, row in rows if row >= 0]
    expected = [(item.features.tobytes(), number % 3) for number, item in enumerate(recordings)]
    assert sorted(seen) == sorted(2 * expected)


def test_a_long_recording_comes_in_parts_from_places_that_differ():
    (recording,) = _recordings(1, length=300)
    windows = _windows([recording], batch_size=1, window_size=70)
    starts = {int(windows.batch(step).inputs[0, 0, 0]) for step in range(8)}
    assert len(starts) > 4 and max(starts) <= 300 - 70
    assert windows.batch(0).mask.sum() == 70


def test_a_value_that_the_model_never_saw_counts_as_wrong_and_a_recording_without_the_label_not_at_all(
    model,
):
    recordings = [_noise({"pitch": "low"}), _noise({"pitch": "shrill"}), _noise({})]
    metrics = ClassifierTask(target="pitch").evaluate(model, recordings)
    right, counted = metrics["accuracy"]
    np.testing.assert_array_equal(counted, [1, 1, 0])
    np.testing.assert_array_equal(right[1:], [0, 0])
    assert confusion(model, recordings, probabilities(model, recordings)).sum() == 1


REFUSED = {
    "no label of that name": ("--target=pich", "--target 'pich' is no label; did you mean 'pitch'"),
    "a label of one value": ("--target=room", "has the value hall alone .*known: pitch, room"),
    "no target among two": (
        "--target=",
        "target is missing; say which label to predict: one of pitch, room",
    ),
}


@pytest.mark.parametrize(("option", "message"), REFUSED.values(), ids=REFUSED)
def test_a_target_that_tells_nothing_apart_is_refused_with_the_labels(
    option, message, recordings, tmp_path, capsys
):
    said = mistake(capsys, "train", recordings, tmp_path / "run", option, *TRAIN)
    assert re.search(message, said), said
    assert not (tmp_path / "run").exists()


def test_a_manifest_gives_labels_and_a_split_and_its_only_label_is_the_target(recordings, tmp_path):
    manifest = tmp_path / "manifest.csv"
    with manifest.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "split", "kind"])
        for path in sorted(recordings.iterdir()):
            split = "test" if path.stem.endswith("0") else "train"
            rows.writerow([path, split, path.stem.split("_")[0]])
    task = ClassifierTask(input="samples")
    config = RunConfig(task=task, corpus=wd.CorpusConfig(folder=str(manifest)))
    corpus = task.read(config)
    config = task.resolve(config, corpus)
    assert config.model.target == config.task.target == "kind"
    assert config.model.values == ("high", "low", "mid")
    assert (config.model.in_channels, config.model.mel) == (1, None)
    assert len(corpus.test) == 3


def test_what_cannot_be_classified_is_said_in_one_line(run, recordings, tmp_path, capsys):
    sound = recordings / "low_hall_0.wav"
    assert "silent.wav: the sound is silent" in mistake(
        capsys, "classify", run, write_silence(tmp_path / "silent.wav")
    )
    assert "gone.wav" in mistake(capsys, "classify", run, tmp_path / "gone.wav")
    assert "short.wav: 100 samples" in mistake(
        capsys, "classify", run, write(tmp_path / "short.wav", tone(100))
    )
    assert "no file to classify" in mistake(capsys, "classify", run)
    generator = tmp_path / "generator"
    wd.save(wd.WaveNet(wd.WaveNetConfig.tiny(), rngs=nnx.Rngs(0)), generator)
    assert "is a WaveNet, which predicts no label" in mistake(capsys, "classify", generator, sound)
    assert "a TCN draws no samples" in mistake(capsys, "generate", run, tmp_path / "x.wav")


def test_files_that_cannot_be_classified_leave_the_others_their_answers(
    run, recordings, tmp_path, capsys
):
    silent, gone = write_silence(tmp_path / "silent.wav"), tmp_path / "gone.wav"
    sound = recordings / "low_hall_0.wav"
    assert main(["classify", str(run), str(silent), str(sound), str(gone)]) == 2
    out, err = capsys.readouterr()
    assert "low_hall_0.wav" in out and len(err.splitlines()) == 1
    assert "silent.wav: the sound is silent" in err and "gone.wav" in err


def test_values_that_a_model_cannot_predict_are_said_and_recordings_without_the_label_refused(
    run, recordings, tmp_path, capsys
):
    for name in ("low_hall_0.wav", "shrill_hall_0.wav"):
        write(tmp_path / "new" / name, tone(1000))
    assert main(["evaluate", str(run), str(tmp_path / "new")]) == 0
    said = capsys.readouterr()
    assert "1 recordings count as wrong" in said.out + said.err and "shrill" in said.out + said.err
    write(tmp_path / "none" / "x.wav", tone(1000))
    line = mistake(capsys, "evaluate", run, tmp_path / "none")
    assert "none of 1 recordings has the label pitch" in line


@pytest.mark.long
def test_a_fine_tuned_model_keeps_the_weights_of_values_that_both_know(run, recordings, tmp_path):
    for number, pitch in enumerate(("shrill", "mid", "low")):
        for take in range(3):
            samples = tone(1000, frequency=400.0 * (1 + number), level=0.3 + 0.1 * take)
            write(tmp_path / "new" / f"{pitch}_hall_{take}.wav", samples)
    options = ["--target=pitch", *TRAIN, "--training.steps=1", "--training.learning-rate=1e-12"]
    options += [f"--start-from={run}", "--model.dilations=1,2"]
    assert main(["train", str(tmp_path / "new"), str(tmp_path / "run"), *options]) == 0
    before, after = wd.load(run), wd.load(tmp_path / "run")
    assert (before.config.values, after.config.values) == (
        ("high", "low", "mid"),
        ("low", "mid", "shrill"),
    )
    scales = [(model.config.mean, model.config.deviation) for model in (before, after)]
    assert scales[0] == scales[1]
    kernels = [np.asarray(model.output.kernel[...]) for model in (before, after)]
    np.testing.assert_allclose(kernels[1][..., :2], kernels[0][..., 1:], atol=1e-6)
    assert np.abs(kernels[1][..., 2] - kernels[0][..., 0]).max() > 1e-3


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        (np.array([0, 1, 0, 1]), "integers|int64"),
        (np.zeros((2, 3), np.float32), "mono blocks"),
        (np.array([0.1, np.nan], np.float32), "1 of 2 samples of the block are NaN or infinite"),
        ("a.wav", "samples of the block are text, but sound is floats"),
    ],
)
def test_a_block_that_is_no_sound_is_refused(model_of_samples, block, problem):
    with pytest.raises(wd.UserError, match=problem):
        Follower(model_of_samples).push(block)


def test_a_peak_above_full_scale_is_said_once_a_stream(model_of_samples):
    follower = Follower(model_of_samples)
    with pytest.warns(UserWarning, match=r"samples of the block have a peak of 1\.2") as said:
        for peak in (0.5, 1.2, 1.3):
            follower.push(np.array([0.0, peak], np.float32))
    assert len(said) == 1
    with pytest.raises(wd.UserError, match="peak of 3"):
        follower.push(np.array([3.0], np.float32))


def _recordings(number, length=70):
    """Sequences of different lengths, which say in every frame where it is."""
    return [
        Recording(
            f"{index}.wav",
            np.zeros(length + index, np.uint8),
            {"pitch": list(PITCHES)[index % 3]},
            np.repeat(np.arange(length + index, dtype=np.float32)[:, None], 12, axis=1),
        )
        for index in range(number)
    ]


def _windows(recordings, batch_size, window_size=100):
    return LabelledWindows(
        recordings,
        target="pitch",
        values=list(PITCHES),
        quantizer=wd.Quantizer(),
        window_size=window_size,
        batch_size=batch_size,
        seed=3,
    )


def _noise(labels):
    features = np.random.default_rng(1).random((20, 12), np.float32)
    return Recording("x.wav", np.zeros(20 * 64, np.uint8), labels, features)
