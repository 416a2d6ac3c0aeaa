"""`wavedil evaluate`: the breakdown per label, and a vocoder's resynthesis beside what it is measured against."""

import json
import math
import shutil

import numpy as np
import pytest
from command_line import TINY, mistake
from recordings import tone, write, write_silence

from wavedil import load, save
from wavedil.cli.main import main
from wavedil.cli.tables import table

VOCODER = [
    "--task=vocoder",
    "--no-pitch",
    "--mel.num-mels=12",
    "--mel.fft-size=128",
    "--mel.hop=64",
]
LABELS = r"--labels=(?P<note>[a-z]+)_(?P<take>\d+)"
NOISE = 0.02 * np.random.default_rng(0).normal(size=4000)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Four takes of two notes with a little noise; the second half of the takes is held out."""
    folder = tmp_path_factory.mktemp("recordings")
    for name, hz in (("low", 200), ("high", 700)):
        for take in range(4):
            samples = tone(1500 + 300 * take, frequency=hz) + NOISE[: 1500 + 300 * take]
            write(folder / f"{name}_{take}.wav", samples)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory, recordings):
    folder = tmp_path_factory.mktemp("runs") / "run"
    options = [*VOCODER, *TINY, LABELS, r"--test=_[23]\.wav$"]
    assert main(["train", str(recordings), str(folder), *options]) == 0
    return folder


def evaluated(capsys, *arguments):
    assert main(["evaluate", *map(str, arguments), "--json"]) == 0
    output = capsys.readouterr()
    return json.loads(output.out), output.err


def test_labels_and_resynthesis_are_in_the_json(capsys, run):
    facts, _ = evaluated(capsys, run, "--resynthesize", 3)
    assert {name: list(values) for name, values in facts["labels"].items()} == {
        "note": ["high", "low"],
        "take": ["2", "3"],
    }
    assert facts["labels"]["take"]["3"]["num_samples"] == 2 * 2400
    resynthesis = facts["resynthesis"]
    assert resynthesis["num_files"] == 3
    assert list(resynthesis["distances"]) == ["this model", "Griffin-Lim", "levels alone"]
    for distances in resynthesis["distances"].values():
        parts = distances["stft_convergence"] + distances["stft_log_magnitude"]
        assert distances["stft"] == pytest.approx(parts) and math.isfinite(parts)
        assert distances["mel_cepstral_db"] > 0
    # Rounding to 256 levels is nearer than anything without the recording at hand.
    stft = {name: distances["stft"] for name, distances in resynthesis["distances"].items()}
    assert stft["levels alone"] < stft["Griffin-Lim"] and stft["levels alone"] < stft["this model"]
    again, _ = evaluated(capsys, run, "--resynthesize", 3)
    assert again == facts


def test_tables_say_the_same(capsys, run):
    facts, _ = evaluated(capsys, run, "--resynthesize", 2)
    assert main(["evaluate", str(run), "--resynthesize", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split("  ")[0]: line.split()[1:] for line in lines if line}
    low = facts["labels"]["note"]["low"]
    assert rows["low"] == [f"{low['bits']:.3f}", f"{low['num_samples']:,}", "2"]
    model = facts["resynthesis"]["distances"]["Griffin-Lim"]
    assert rows["Griffin-Lim"][0] == f"{model['stft']:.3f}"
    assert rows["Griffin-Lim"][-1] == f"{model['mel_cepstral_db']:.2f}"


def test_nothing_is_resynthesised_unless_asked(capsys, run):
    facts, _ = evaluated(capsys, run)
    assert "resynthesis" not in facts and "labels" in facts


def test_silent_and_short_recordings_are_said_and_left_out(capsys, tmp_path, run):
    write(tmp_path / "low_7.wav", tone(2000))
    write(tmp_path / "short_8.wav", tone(300))  # a mel frame, but no window of 50 ms
    write(tmp_path / "click_9.wav", tone(100))
    write_silence(tmp_path / "silent_6.wav")
    facts, said = evaluated(capsys, run, tmp_path, "--resynthesize", 2)
    assert (facts["num_files"], facts["resynthesis"]["num_files"]) == (2, 1)
    assert "short_8.wav is not resynthesised: 300 samples (0.0375 s) are too short" in said
    assert "skipped silent_6.wav: is silent" in said
    assert "skipped click_9.wav: 100 samples (0.0125 s) are shorter than one mel frame" in said
    (tmp_path / "low_7.wav").unlink()
    assert "none of the 1 recordings chosen" in last_mistake(
        capsys, run, tmp_path, "--resynthesize", 1
    )


def test_recordings_without_the_labels_of_the_model_are_scored_unlabelled(capsys, tmp_path, run):
    write(tmp_path / "8.wav", tone(2000))
    facts, said = evaluated(capsys, run, tmp_path)
    assert (facts["num_files"], facts["labels"]) == (1, {})
    assert "no recording has the label note; scored without it" in said


def test_values_of_labels_that_the_model_does_not_know_are_said(capsys, tmp_path, run):
    for name in ("low_1", "middle_1", "middle_2"):
        write(tmp_path / f"{name}.wav", tone(2000))
    _, said = evaluated(capsys, run, tmp_path)
    wanted = "2 recordings are scored without the label note, whose value the model does not know: middle"
    assert f"wavedil: {wanted}" in said.splitlines()


def test_a_score_that_is_nan_is_refused_with_its_name(capsys, tmp_path, run):
    shutil.copytree(run, tmp_path / "run")
    model = load(run)
    model.output.kernel[...] *= 0.0
    model.hidden.bias[...] += 3e38
    model.output.kernel[...] += 3e38
    save(model, tmp_path / "run" / "model", overwrite=True)
    said = last_mistake(capsys, tmp_path / "run")
    assert (
        "bits of 4 recordings is nan: the model's weights are not finite or far too large" in said
    )


def last_mistake(capsys, *arguments):
    """The error that follows lines about single recordings."""
    assert main(["evaluate", *map(str, arguments)]) == 2
    return capsys.readouterr().err.splitlines()[-1].removeprefix("wavedil: error: ")


def test_what_cannot_be_resynthesised_is_refused(capsys, tmp_path, recordings, run):
    assert "resynthesize is 5, but there are 4 recordings" in mistake(
        capsys, "evaluate", run, "--resynthesize", 5
    )
    assert "resynthesize is -1" in mistake(capsys, "evaluate", run, "--resynthesize", -1)
    assert main(["train", str(recordings), str(tmp_path / "generator"), *TINY]) == 0
    capsys.readouterr()
    said = mistake(capsys, "evaluate", tmp_path / "generator", "--resynthesize", 1)
    assert "no vocoder" in said and "leave --resynthesize out" in said


@pytest.mark.long
def test_a_vocoder_of_features_of_ones_own_is_compared_without_mel_cepstra(
    capsys, tmp_path, recordings
):
    for path in recordings.glob("*.wav"):
        target = tmp_path / path.name
        target.write_bytes(path.read_bytes())
        num_samples = 1500 + 300 * int(path.stem[-1])
        np.save(target.with_suffix(".npy"), np.ones((-(-num_samples // 100), 1)))
    options = ["--task=vocoder", "--features-hop=100", *TINY]
    assert main(["train", str(tmp_path), str(tmp_path / "run"), *options]) == 0
    capsys.readouterr()
    facts, _ = evaluated(capsys, tmp_path / "run", "--resynthesize", 1)
    distances = facts["resynthesis"]["distances"]
    assert list(distances) == ["this model", "levels alone"]
    assert distances["this model"]["mel_cepstral_db"] is None
    assert main(["evaluate", str(tmp_path / "run"), "--resynthesize", "1"]) == 0
    assert "  -" in capsys.readouterr().out


def test_columns_of_a_table_line_up():
    assert table([("digit", "bits"), ("7", "13.884")]) == ["digit    bits", "7      13.884"]
