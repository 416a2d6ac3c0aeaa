"""A vocoder from the command line: trained on mel spectra or features of one's own, resumed, scored, and copying."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import training_runs as runs
from command_line import TINY, mistake
from recordings import tone, write

import wavedil
from wavedil import LocalConditioningConfig, WaveNetConfig, audio, mu_law
from wavedil.cli.main import main
from wavedil.cli.options import parse
from wavedil.cli.train import Train
from wavedil.data import CorpusConfig, write_plucked_strings
from wavedil.mel import MelConfig, mel
from wavedil.runs import RunFolder, to_values
from wavedil.runs import train_as as train
from wavedil.tasks import VocoderTask
from wavedil.training import RunConfig

MEL = ["--mel.num-mels=12", "--mel.fft-size=256", "--mel.hop=64"]
LOCAL = [
    "--model.local-conditioning.upsampling=subpixel",
    "--model.local-conditioning.lookaround-frames=1",
    "--model.local-conditioning.channels=6",
]
WITH_PITCH = ["--task=vocoder", *MEL, *LOCAL, *TINY]
VOCODER = [*WITH_PITCH, "--no-pitch"]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    for number, file in enumerate(write_plucked_strings(folder)):
        if number % 7:
            file.unlink()
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory, recordings):
    """A vocoder of four steps."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert main(["train", str(recordings), str(folder), *VOCODER]) == 0
    return folder


def test_the_run_and_the_model_know_how_their_features_are_made(run):
    config = RunFolder(run).read_config()
    local = wavedil.load(run).config.local_conditioning
    assert config.model.local_conditioning == local
    assert local.mel == config.task.mel
    assert (local.num_features, local.hop) == (12, 64)
    assert (local.upsampling, local.lookaround_frames, local.channels) == ("subpixel", 1, 6)
    assert local.mel.complete and local.mel.sample_rate == 8000


@pytest.mark.long
def test_the_same_command_and_the_config_file_take_up_the_run(run, recordings):
    before = (run / "model" / "model.safetensors").read_bytes()
    for options in (VOCODER, [f"--config={run / 'config.json'}"]):
        assert main(["train", str(recordings), str(run), *options]) == 0
        assert (run / "model" / "model.safetensors").read_bytes() == before


def test_evaluate_scores_with_features(capsys, run):
    assert main(["evaluate", str(run), "--json"]) == 0
    assert 0 < json.loads(capsys.readouterr().out)["bits"] < 8.5


def test_resynthesised_sounds_have_the_length_of_their_recordings_and_equal_those_made_alone(
    capsys, tmp_path, run
):
    write(tmp_path / "a.wav", tone(900))
    audio.save(tmp_path / "b.wav", tone(2000, sample_rate=16000), 16000)  # 1000 samples at 8000 Hz
    like = [f"--like={tmp_path / name}" for name in ("a.wav", "b.wav")]
    assert main(["generate", str(run), str(tmp_path / "again.wav"), *like]) == 0
    assert "b.wav is at 16000 Hz; resampled to the model's 8000 Hz" in capsys.readouterr().err
    sounds = [audio.load(tmp_path / f"again-{number}.wav")[0] for number in (1, 2)]
    assert [len(sound) for sound in sounds] == [900, 1000]
    assert main(["generate", str(run), str(tmp_path / "alone.wav"), like[0]]) == 0
    np.testing.assert_array_equal(audio.load(tmp_path / "alone.wav")[0], sounds[0])
    # The same through an array of the features.
    np.save(tmp_path / "a.npy", mel(tone(900), wavedil.load(run).config.local_conditioning.mel))
    features = f"--features={tmp_path / 'a.npy'}"
    assert main(["generate", str(run), str(tmp_path / "features.wav"), features]) == 0
    again = audio.load(tmp_path / "features.wav")[0]
    assert len(again) == 15 * 64
    assert np.corrcoef(again[:900], sounds[0])[0, 1] > 0.99


def test_what_a_vocoder_cannot_resynthesise_is_refused(capsys, tmp_path, run):
    out = ["generate", run, tmp_path / "out.wav"]
    write(tmp_path / "silent.wav", np.zeros(900))
    write(tmp_path / "click.wav", tone(255))
    np.save(tmp_path / "narrow.npy", np.zeros((9, 11)))
    np.save(tmp_path / "nan.npy", np.full((9, 12), np.nan))
    for option, name, expected in (
        ("--like", "silent.wav", "silent.wav is silent"),
        ("--like", "click.wav", "255 samples (0.0319 s) are shorter than one mel frame (256 samples"),
        ("--like", "absent.wav", "absent.wav: cannot be opened"),
        ("--features", "narrow.npy", "have 11 numbers in a frame, but the model takes 12; compute them with"),
        ("--features", "nan.npy", "108 of 108 numbers are NaN"),
        ("--features", "absent.npy", "cannot be opened"),
    ):  # fmt: skip
        assert expected in mistake(capsys, *out, option, tmp_path / name)
    assert "was given no features" in mistake(capsys, *out)
    like = ["--like", tmp_path / "silent.wav"]
    for others in (["--count", 2], ["--seconds", 1], ["--prompt", "x.wav"]):
        assert "leave --count, --seconds and --prompt out" in mistake(capsys, *out, *like, *others)
    assert not (tmp_path / "out.wav").exists()


def test_options_for_features_without_a_vocoder_are_refused(capsys, tmp_path, recordings):
    arguments = ["train", recordings, tmp_path / "run"]
    for options in (["--features-hop", 50], ["--mel.num-mels", 12]):
        assert f"unknown option {options[0]}" in mistake(capsys, *arguments, *options)
    said = mistake(capsys, *arguments, "--model.local-conditioning.channels", 6)
    assert "a generator takes no features" in said
    hop = ["--task", "vocoder", *MEL, "--model.local-conditioning.hop", 50]
    assert "hop is 50, but the features that condition the model have 64" in mistake(
        capsys, *arguments, *hop
    )
    both = ["--task", "vocoder", "--features-hop", 50, "--mel.num-mels", 12]
    assert "or compute mel spectra" in mistake(capsys, *arguments, *both)


def test_a_configuration_of_another_task_gives_all_but_its_features(tmp_path):
    mel = MelConfig(num_mels=12).at(8000)
    local = LocalConditioningConfig().of(12, mel.hop, mel)
    model = WaveNetConfig(cycles=7, sample_rate=8000, local_conditioning=local)
    task = VocoderTask(mel=mel)
    config = RunConfig(task=task, corpus=CorpusConfig(folder="."), model=model)
    (tmp_path / "config.json").write_text(json.dumps(to_values(config)))

    def parsed(*options):
        arguments = [".", "run", f"--config={tmp_path / 'config.json'}", *options]
        return parse(Train, "train", arguments).run_config

    for task in ("generator", "autoencoder"):
        other = parsed("--task", task)
        assert other.task.name == task and other.training == config.training
    assert parsed().task.mel == dataclasses.replace(mel, sample_rate=None)
    assert parsed().model.cycles == 7
    assert parsed("--mel.num-mels", "5").task.mel.num_mels == 5
    assert parsed().model.local_conditioning.num_features is None


@pytest.mark.long
def test_features_of_ones_own_train_a_vocoder_that_does_not_resynthesize(
    capsys, tmp_path, recordings
):
    mine = shutil.copytree(recordings, tmp_path / "mine")
    for path in mine.glob("*.wav"):
        samples = audio.load(path)[0]
        loudness = [
            [np.abs(samples[start : start + 100]).mean()] for start in range(0, len(samples), 100)
        ]
        np.save(path.with_suffix(".npy"), loudness)
    options = ["--task=vocoder", "--features-hop=100", *TINY]
    assert main(["train", str(mine), str(tmp_path / "run"), *options]) == 0
    local = wavedil.load(tmp_path / "run").config.local_conditioning
    assert (local.num_features, local.hop, local.mel) == (1, 100, None)
    arguments = ["generate", tmp_path / "run", tmp_path / "out.wav"]
    wav = next(mine.glob("*.wav"))
    capsys.readouterr()
    assert "cannot compute" in mistake(capsys, *arguments, "--like", wav)
    np.save(tmp_path / "short.npy", np.ones((3, 1)))
    assert main([*map(str, arguments), f"--features={tmp_path / 'short.npy'}"]) == 0
    assert audio.read_info(tmp_path / "out.wav").num_samples == 300


def sines_with_features():
    """The corpus of sines, each with its loudness every 8 samples."""

    def with_loudness(recording):
        sound = np.abs(mu_law.decode(recording.codes, runs.LEVELS))
        frames = [[sound[start : start + 8].mean()] for start in range(0, len(sound), 8)]
        return dataclasses.replace(recording, features=np.array(frames, np.float32))

    corpus = runs.corpus()
    splits = {name: tuple(map(with_loudness, getattr(corpus, name))) for name in ("train", "test")}
    return dataclasses.replace(corpus, **splits, hop=8)


@pytest.mark.long
@pytest.mark.newest
def test_a_vocoder_that_was_interrupted_goes_through_the_same_states(tmp_path):
    config = runs.run_config(VocoderTask(), steps=6, save_every=2, evaluate_every=6)
    corpus = sines_with_features()
    train(config, tmp_path / "whole", corpus=corpus)

    def fail_at_5(progress):
        if progress.step == 5:
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        train(config, tmp_path / "cut", corpus=corpus, report=fail_at_5)
    train(config, tmp_path / "cut", corpus=corpus)
    weights = [
        (tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("whole", "cut")
    ]
    assert weights[0] == weights[1]
    assert runs.lines(tmp_path / "whole") == runs.lines(tmp_path / "cut")


def test_a_vocoder_with_pitch_is_trained_resumed_and_given_another_pitch(
    capsys, tmp_path, recordings
):
    """The features, in which period and voicing are the last two numbers, are saved with the model."""
    options = [*WITH_PITCH, "--pitch-range.lowest-hz=250", "--pitch-range.highest-hz=900"]
    train = ["train", str(recordings), str(tmp_path / "run"), *options]
    assert main(train) == 0
    local = wavedil.load(tmp_path / "run").config.local_conditioning
    assert (local.num_features, local.follows_pitch) == (14, "input")
    assert (local.pitch.lowest_hz, local.pitch.sample_rate) == (250, 8000)
    assert main(train) == 0
    write(tmp_path / "a.wav", tone(900))
    out, like = tmp_path / "out.wav", f"--like={tmp_path / 'a.wav'}"
    made = []
    for changes in (["--pitch-factor=1.2"], ["--flat-pitch=300"]):
        arguments = ["generate", str(tmp_path / "run"), str(out), like, "--overwrite", *changes]
        assert main(arguments) == 0
        made.append(audio.load(out)[0])
    assert not np.array_equal(*made)
    capsys.readouterr()
    generate = ["generate", tmp_path / "run", out, like, "--overwrite"]
    for changes, said in (
        (["--flat-pitch", 100], "change the pitch by less"),
        (["--pitch-factor", 0], "must be above 0"),
        (["--pitch-factor", 2, "--flat-pitch", 300], "leave one of them out"),
    ):
        assert said in mistake(capsys, *generate, *changes)


def test_another_pitch_is_refused_where_the_features_carry_none(capsys, tmp_path, run):
    write(tmp_path / "a.wav", tone(900))
    out = ["generate", run, tmp_path / "out.wav", "--like", tmp_path / "a.wav"]
    assert "carry no pitch" in mistake(capsys, *out, "--pitch-factor", 1.2)
