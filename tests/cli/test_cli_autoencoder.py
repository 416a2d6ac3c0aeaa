"""An autoencoder from the command line: trained, resumed, scored, making sounds again and what lies between them."""

import dataclasses
import json

import numpy as np
import pytest
from command_line import TINY, mistake
from recordings import tone, write

import wavedil
from wavedil import audio
from wavedil.cli.main import main
from wavedil.data import write_plucked_strings
from wavedil.runs import RunFolder

ENCODER = [
    "--model.encoder.latent-size=3", "--model.encoder.channels=4", "--model.encoder.dilations=1:8",
]  # fmt: skip
DECODER = [option.replace("--model.", "--model.decoder.") for option in TINY]
AUTOENCODER = ["--task=autoencoder", "--model.encoder.hop=64", *ENCODER, *DECODER]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    for number, file in enumerate(write_plucked_strings(folder)):
        if number % 7:
            file.unlink()
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory, recordings):
    """An autoencoder of four steps."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert main(["train", str(recordings), str(folder), *AUTOENCODER]) == 0
    return folder


@pytest.fixture
def sounds(tmp_path):
    """Three recordings of different lengths, one of them at another rate, one silent and shorter than a frame."""
    write(tmp_path / "a.wav", tone(900))
    audio.save(tmp_path / "b.wav", tone(2000, frequency=300, sample_rate=16000), 16000)
    write(tmp_path / "silent.wav", np.zeros(40))
    return tmp_path


def generate(run, out, *arguments):
    return main(["generate", str(run), str(out), *map(str, arguments)])


def test_the_run_and_the_model_are_an_autoencoder(run):
    config = RunFolder(run).read_config()
    model = wavedil.load(run)
    assert isinstance(model, wavedil.Autoencoder) and model.config == config.model
    assert model.config.local_conditioning.sizes == (3, 64)
    assert model.config.local_conditioning.mel is None
    assert (config.task.name, model.task) == ("autoencoder", config.task)


@pytest.mark.long
def test_the_same_command_and_the_config_file_take_up_the_run(run, recordings):
    before = (run / "model" / "model.safetensors").read_bytes()
    for options in (AUTOENCODER, [f"--config={run / 'config.json'}"]):
        assert main(["train", str(recordings), str(run), *options]) == 0
        assert (run / "model" / "model.safetensors").read_bytes() == before


def test_evaluate_scores_and_resynthesises(capsys, run):
    assert main(["evaluate", str(run), "--json", "--resynthesize=2"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert 0 < facts["bits"] < 8.5
    assert list(facts["resynthesis"]["distances"]) == ["this model", "levels alone"]


def test_info_and_rf_know_it(capsys, run):
    assert main(["info", str(run), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["architecture"] == "Autoencoder"
    assert facts["model"]["encoder"]["latent_size"] == 3
    assert facts["parameters"] == wavedil.load(run).num_parameters
    assert main(["info", str(run)]) == 0
    assert "model.encoder.hop" in capsys.readouterr().out
    for option in (f"--model={run}", f"--config={run / 'model' / 'config.json'}"):
        assert main(["rf", option]) == 0
        assert (
            "17 samples" in capsys.readouterr().out
        )  # two of the input, 1 + 2 + 4 + 8 of the decoder


def test_reconstructions_have_the_length_of_their_recordings_and_equal_those_made_alone(
    capsys, run, sounds
):
    like = [f"--like={sounds / name}" for name in ("a.wav", "b.wav", "silent.wav")]
    assert generate(run, sounds / "again.wav", *like) == 0
    assert "b.wav is at 16000 Hz; resampled to the model's 8000 Hz" in capsys.readouterr().err
    again = [audio.load(sounds / f"again-{number}.wav")[0] for number in (1, 2, 3)]
    assert [len(sound) for sound in again] == [900, 1000, 40]
    made = json.loads((sounds / "again.json").read_text())
    assert made["of"] == [option.removeprefix("--like=") for option in like]
    assert generate(run, sounds / "alone.wav", like[0]) == 0
    np.testing.assert_array_equal(audio.load(sounds / "alone.wav")[0], again[0])


@pytest.mark.long
def test_between_two_recordings_lie_sounds_as_long_as_the_shorter_one(capsys, run, sounds):
    between = ["--between", sounds / "a.wav", sounds / "b.wav"]
    picture = sounds / "way.png"
    assert generate(run, sounds / "way.wav", *between, f"--picture={picture}") == 0
    out, err = capsys.readouterr()
    assert "b.wav is 0.0125 s longer; its end is left out" in err
    assert "way-2.wav: 0.1125 s at 8000 Hz, 0.75 a.wav + 0.25 b.wav" in out
    assert picture.exists()
    made = [audio.load(sounds / f"way-{number}.wav")[0] for number in range(1, 6)]
    assert {len(sound) for sound in made} == {900}
    # The first is what `--like a.wav` makes: the same codes, the same draws.
    like = f"--like={sounds / 'a.wav'}"
    assert generate(run, sounds / "alone.wav", like, like, like, like, like) == 0
    np.testing.assert_array_equal(audio.load(sounds / "alone-1.wav")[0], made[0])
    assert generate(run, sounds / "few.wav", *between, "--count=3") == 0
    assert not (sounds / "few-4.wav").exists() and (sounds / "few-3.wav").exists()


def test_what_an_autoencoder_cannot_make_sound_of_is_refused(capsys, run, sounds):
    out = ["generate", run, sounds / "out.wav"]
    a, b = sounds / "a.wav", sounds / "b.wav"
    np.save(sounds / "codes.npy", np.zeros((9, 3)))
    between = ["--between", a, b]
    for options, expected in (
        ([], "is an autoencoder and was given no recording; give one to make again (--like"),
        (["--seconds", 1], "is an autoencoder and was given no recording"),
        (["--features", sounds / "codes.npy"], "give it recordings (--like recording.wav, or --between"),
        (["--between", a], "between"),
        (["--between", a, sounds / "absent.wav"], "absent.wav: cannot be opened"),
        ([*between, "--count", 1], "count is 1, but --between writes at least the two ends"),
        ([*between, "--like", a], "leave --like, --features, --seconds and --prompt out"),
        ([*between, "--prompt", a], "leave --like, --features, --seconds and --prompt out"),
        (["--like", a, "--label", "digit=7"], "it was trained without labels"),
    ):  # fmt: skip
        assert expected in mistake(capsys, *out, *options)
    assert not list(sounds.glob("out*"))


def test_between_on_a_model_that_is_no_autoencoder_is_refused(capsys, recordings, sounds):
    run = sounds / "generator"
    assert main(["train", str(recordings), str(run), *TINY]) == 0
    capsys.readouterr()
    out = ["generate", run, sounds / "out.wav", "--between", sounds / "a.wav", sounds / "b.wav"]
    assert "is no autoencoder" in mistake(capsys, *out)


def test_options_of_another_task_are_refused(capsys, tmp_path, recordings):
    arguments = ["train", recordings, tmp_path / "run"]
    for options in (["--model.encoder.hop", 64], ["--task", "vocoder", "--model.encoder.hop", 3]):
        assert "unknown option --model.encoder.hop" in mistake(capsys, *arguments, *options)
    for options in (["--features-hop", 50], ["--mel.num-mels", 12]):
        said = mistake(capsys, *arguments, "--task", "autoencoder", *options)
        assert f"unknown option {options[0]}" in said
    said = mistake(capsys, *arguments, *AUTOENCODER, "--model.encoder.hop", 0)
    assert "--model.encoder.hop is 0, but it must be a whole number" in said


@pytest.mark.long
def test_conditioned_on_its_latents_an_autoencoder_predicts_better_than_on_zeros(tmp_path):
    """After two hundred steps or so the latents carry the sound."""
    from wavedil import (
        AutoencoderConfig,
        CorpusConfig,
        EncoderConfig,
        RunConfig,
        TrainingConfig,
        WaveNetConfig,
    )
    from wavedil.evaluation import bits, means
    from wavedil.generation import as_vocoder
    from wavedil.runs import train_as
    from wavedil.tasks import AutoencoderTask

    for number, file in enumerate(write_plucked_strings(tmp_path / "strings")):
        if number % 4:
            file.unlink()
    config = RunConfig(
        task=AutoencoderTask(),
        corpus=CorpusConfig(folder=str(tmp_path / "strings"), held_out=0.1),
        model=AutoencoderConfig(
            decoder=WaveNetConfig.tiny(cycles=1),
            encoder=EncoderConfig(
                latent_size=8, hop=128, channels=16, dilations=(1, 2, 4, 8, 16, 32)
            ),
        ),
        # At the default learning rate so small a decoder may stay where it begins.
        training=TrainingConfig(
            steps=250, batch_size=1, window_size=2048, warmup_steps=20, learning_rate=1e-3
        ),
    )
    corpus = config.task.read(config)
    run = train_as(config, tmp_path / "run", corpus=corpus)
    decoder, recordings = as_vocoder(run.model, corpus.test)
    scores = means({"bits": bits(decoder, recordings)})
    blank = [
        dataclasses.replace(item, features=np.zeros_like(item.features)) for item in recordings
    ]
    assert scores["bits"] < means({"bits": bits(decoder, blank)})["bits"] - 0.3
