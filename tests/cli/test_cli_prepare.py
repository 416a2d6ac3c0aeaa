"""`wavedil prepare`, and `wavedil train` on what it wrote: the run is that of the recordings themselves."""

import json
import re

import numpy as np
import pytest
import training_runs
from command_line import TINY, mistake
from recordings import tone, write

import wavedil as wd
from wavedil import CorpusConfig, RunConfig
from wavedil.cli.main import main
from wavedil.mel import MelConfig
from wavedil.models import named_weights
from wavedil.runs import RunFolder
from wavedil.tasks import ClassifierTask, FeaturesTask, VocoderTask

pytest.importorskip("array_record")
one_compilation = training_runs.one_compilation
pytestmark = pytest.mark.usefixtures("one_compilation")
CHOSEN = [r"--labels=(?P<note>[a-z]+)_\d", "--test=low_1", *TINY]


def run(*arguments):
    return main(list(map(str, arguments)))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Recordings of two notes, and shards of them in two parts."""
    folder = tmp_path_factory.mktemp("place")
    for name, hz in (("low", 200), ("high", 700)):
        for take in range(2):
            write(folder / "sounds" / f"{name}_{take}.wav", tone(1000 + 200 * take, frequency=hz))
    for part in ("2/2", "1/2"):
        prepared = ["prepare", folder / "sounds", folder / "shards", "--num-shards=2"]
        assert run(*prepared, f"--part={part}") == 0
    return folder


def learnt(folder):
    """The weights of a run, and its metrics without what depends on the clock."""
    weights = named_weights(wd.load(folder))
    return {name: np.asarray(weight) for name, weight in weights.items()}, training_runs.lines(
        folder
    )


def test_a_run_from_shards_is_that_from_the_recordings_and_each_goes_on_from_the_other(place):
    runs = {name: place / f"run-{name}" for name in ("sounds", "shards")}
    for name, folder in runs.items():
        assert run("train", place / name, folder, *CHOSEN) == 0
    np.testing.assert_equal(learnt(runs["shards"]), learnt(runs["sounds"]))
    for name, folder in zip(runs, reversed(runs.values()), strict=True):
        assert run("train", place / name, folder, *CHOSEN) == 0  # nothing is left to do, or refused
        assert RunFolder(folder).read_config().corpus.folder == str(place / name)


@pytest.mark.parametrize("task", [VocoderTask, FeaturesTask, ClassifierTask])
def test_tasks_of_mel_spectra_learn_from_shards_what_they_learn_from_recordings(place, task):
    shards, quantizer = place / f"spectra for {task.name}", task().model().quantizer
    spectra = ("--features=mel", "--mel.num-mels=8", "--mel.fft-size=256")
    spectra += ("--no-pitch",) * (task is ClassifierTask)
    levels = (f"--levels={quantizer.levels}", f"--companding={quantizer.companding}")
    assert run("prepare", place / "sounds", shards, *spectra, *levels) == 0
    chosen = {"labels": CHOSEN[0].removeprefix("--labels="), "held_out": 0.25}
    target = {"target": "note"} if task is ClassifierTask else {}
    found = []
    for folder in (place / "sounds", shards):
        mel = MelConfig(num_mels=8, fft_size=256)
        config = RunConfig(
            task=task(mel=mel, **target), corpus=CorpusConfig(folder=str(folder), **chosen)
        )
        corpus = config.task.read(config)
        resolved = config.task.resolve(config, corpus)
        windows = resolved.task.windows(resolved, corpus)
        batches = [windows.batch(step) for step in range(3)]
        found.append((resolved.model, resolved.task, resolved.training, batches))
    np.testing.assert_equal(found[1], found[0])


@pytest.mark.parametrize(
    "options",
    [
        ["--pitch-range.lowest-hz=50"],
        ["--features=beside"],
        ["--features-hop=64"],
        ["--mel.num-mels=8"],
    ],
    ids=" ".join,
)
def test_settings_of_features_that_nobody_asks_for_are_refused_in_a_line(place, capsys, options):
    line = mistake(capsys, "prepare", place / "sounds", place / "none", *options)
    assert "--features mel" in line or "--features beside --features-hop 256" in line


def test_info_says_what_shards_hold_and_which_are_missing(place, capsys):
    assert run("info", place / "shards", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["kind"], facts["shards"], facts["missing"]) == ("shards", "2 of 2", [])
    assert (facts["recordings"], facts["unusable"]) == (4, 0)
    assert facts["seconds"] == pytest.approx((2 * 1000 + 2 * 1200) / 8000)
    assert facts["settings"]["levels"] == 256 and facts["features"] == "none"
    manifest = place / "list.csv"
    manifest.write_text(
        "path,note,split\nsounds/low_0.wav,low,train\nsounds/high_0.wav,high,test\n"
        "sounds/low_1.wav,low,train\n"
    )
    assert run("prepare", manifest, place / "listed", "--num-shards=3", "--part=1/3") == 0
    (shard,) = (place / "listed").glob("shard-*")
    shard.with_name("shard-00001-of-00003.array_record").write_bytes(b"no shard")
    capsys.readouterr()
    assert run("info", place / "listed") == 0
    lines = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    lines = {name: value.strip() for name, value in lines.items()}
    assert lines["shards"] == "2 of 3"
    assert lines["missing"] == "shard-00002-of-00003.array_record"
    assert lines["damaged"].startswith("shard-00001-of-00003.array_record")
    assert lines["labels"] == "note = low"
    assert lines["splits"] == "train"


def test_preparing_says_how_much_and_what_is_next_and_again_that_all_is_there(place, capsys):
    command = ["prepare", place / "sounds", place / "more", "--num-shards=2"]
    assert run(*command, "--part=1/2") == 0
    out = capsys.readouterr().out
    assert re.match(r"wrote 1 shards to .*: 2 recordings, 0.00 h of sound at 8000 Hz, \S+ h/s", out)
    assert "1 of 2 shards are still missing, those of other parts" in out
    assert run(*command) == 0
    out = capsys.readouterr().out
    assert out.startswith("wrote 1 shards to") and ", 1 were there" in out
    assert f"wavedil train {place / 'more'} RUN" in out


@pytest.mark.parametrize("part", ["3", "0/2", "3/2", "-1/2", "a/b", "1/", "/"])
def test_a_part_that_is_none_is_refused_in_a_line(place, capsys, part):
    command = ["prepare", place / "sounds", place / "none", "--num-shards=2", f"--part={part}"]
    assert mistake(capsys, *command).startswith("--part is ")
    assert not (place / "none").exists()


def test_a_model_of_other_levels_and_a_task_of_features_are_refused_in_a_line(place, capsys):
    line = mistake(capsys, "train", place / "shards", place / "new", "--model.levels=1024")
    assert "holds codes of 256 levels (mu_law), but the model has 1024" in line
    assert "prepare the recordings with --levels 1024 --companding mu_law" in line
    line = mistake(capsys, "train", place / "shards", place / "new", "--task=vocoder")
    assert "holds shards without features" in line and "--features mel" in line
    line = mistake(capsys, "train", place / "shards", place / "new", "--task=effect")
    assert "holds shards" in line


def test_settings_that_the_shards_decided_go_with_the_model(place):
    shards = place / "left"
    assert run("prepare", place / "sounds", shards, "--channel=left") == 0
    assert run("train", shards, place / "run-left", *CHOSEN) == 0
    corpus = RunFolder(place / "run-left").read_config().corpus
    assert (corpus.channel, corpus.sample_rate) == ("left", 8000)
    assert run("train", place / "run-left") == 0
