"""The sounds that a run draws while it trains: they cost the training nothing, and each is drawn once."""

import shutil
import signal

import numpy as np
import pytest
import training_runs as runs
from recordings import tone
from test_training_crashes import largest_file

from wavedil import (
    AmpModelConfig,
    AutoencoderConfig,
    DiffWaveConfig,
    EncoderConfig,
    LocalConditioningConfig,
    UserError,
    audio,
)
from wavedil.data import Pair
from wavedil.files import replacing
from wavedil.models import make_model, named_weights
from wavedil.runs import samples as run_samples
from wavedil.runs import train_as as train
from wavedil.tasks import (
    AutoencoderTask,
    ClassifierTask,
    DiffusionTask,
    EffectTask,
    GeneratorTask,
    VocoderTask,
    sound,
)
from wavedil.training import Example, TrainingError

one_compilation = runs.one_compilation
pytestmark = pytest.mark.usefixtures("one_compilation")
OFTEN = {"sample_every": 4}


@pytest.fixture(scope="module")
def drawn():
    """Sounds that tell the weights they are of, drawn in no time; the loudness of the first of each drawing."""
    levels = []

    def examples(task, model, recordings, progress=None):
        weights = named_weights(model)
        level = float(np.tanh(sum(float(np.sum(value)) for value in weights.values())))
        levels.append(level)
        if progress is not None:
            progress(0, 1)
        sounds = [np.full(80, level, np.float32), np.full(80, -level / 2, np.float32)]
        return [Example(sound, {"note": "300"}) for sound in sounds]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GeneratorTask, "examples", examples)
        yield levels


@pytest.fixture(scope="module")
def whole(tmp_path_factory, drawn):
    """A run with sounds that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    train(runs.run_config(**OFTEN, tensorboard=True), folder, corpus=runs.corpus())
    return folder, list(drawn)


def files(run):
    """Name -> content of what lies in a run's samples."""
    found = sorted(path for path in (run / "samples").rglob("*") if path.is_file())
    return {path.relative_to(run / "samples").as_posix(): path.read_bytes() for path in found}


@pytest.mark.long
def test_a_training_with_sounds_equals_one_without_bit_for_bit(tmp_path, whole):
    run, drawn = whole
    config = runs.run_config()  # none by default
    train(config, tmp_path, corpus=runs.corpus())
    assert files(tmp_path) == {}
    runs.assert_equal_states(runs.final_state(run, config), runs.final_state(tmp_path, config))
    assert runs.lines(run) == runs.lines(tmp_path)
    names = [f"step-{step:06d}" for step in (4, 8, 12)]
    assert list(files(run)) == [
        f"{step}/{name}" for step in names for name in ("1.wav", "2.wav", "made.json")
    ]
    for step, level in zip(names, drawn, strict=True):
        samples, rate = audio.load(run / "samples" / step / "1.wav")
        assert rate == runs.SAMPLE_RATE
        np.testing.assert_allclose(samples, level, atol=2**-15)


def test_tensorboard_has_the_sounds_where_it_is_on(whole):
    run, _ = whole
    (events,) = (run / "tensorboard").glob("events.out.tfevents.*")
    content = events.read_bytes()
    for number in (1, 2):
        assert content.count(b"samples/%d" % number) == 3
    for name, held in files(run).items():
        assert (held in content) == name.endswith(".wav")


@pytest.mark.long
def test_sounds_that_a_signal_cut_short_are_drawn_at_the_next_start_and_others_are_not(
    tmp_path, drawn, monkeypatch, whole
):
    config = runs.run_config(**OFTEN)
    examples = GeneratorTask.examples

    def signalled(task, model, recordings, progress=None):
        if progress is not None and len(drawn) == 1:
            signal.raise_signal(signal.SIGINT)
        return examples(task, model, recordings, progress)

    drawn.clear()
    with monkeypatch.context() as patch:
        patch.setattr(GeneratorTask, "examples", signalled)
        result = train(config, tmp_path, corpus=runs.corpus())
    assert (result.step, result.stopped_by) == (8, "SIGINT")
    drawn.clear()
    train(config, tmp_path, corpus=runs.corpus())
    assert len(drawn) == 2  # of steps 8 and 12
    train(config, tmp_path, corpus=runs.corpus())
    assert len(drawn) == 2
    assert files(tmp_path) == files(whole[0])
    runs.assert_equal_states(runs.final_state(tmp_path, config), runs.final_state(whole[0], config))


def test_killed_between_two_sounds_a_run_loses_nothing(tmp_path, drawn, monkeypatch, whole):
    config = runs.run_config(**OFTEN)

    class KilledError(BaseException):
        pass

    def killed(path):
        if path.parent.name == "step-000008" and path.name == "2.wav":
            (path.parent / ".new-left.wav").write_bytes(b"RIFF")
            raise KilledError
        return replacing(path)

    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(run_samples, "replacing", killed)
        train(config, tmp_path, corpus=runs.corpus())
    assert int(runs.final_state(tmp_path, config).step) == 8
    train(config, tmp_path, corpus=runs.corpus())
    assert files(tmp_path) == files(whole[0])


def test_a_disk_that_is_full_at_a_sound_ends_the_run_in_a_line_with_its_step_saved(
    tmp_path, drawn, monkeypatch
):
    config = runs.run_config(**OFTEN)
    write = run_samples.SampleFiles._write

    def on_a_full_disk(self, *arguments):
        with largest_file(num_bytes=64):
            write(self, *arguments)

    with monkeypatch.context() as patch, pytest.raises(TrainingError, match="checkpoint of step 4"):
        patch.setattr(run_samples.SampleFiles, "_write", on_a_full_disk)
        train(config, tmp_path, corpus=runs.corpus())
    train(config, tmp_path, corpus=runs.corpus())
    assert len(files(tmp_path)) == 9


def test_sounds_that_cannot_be_drawn_are_said_and_end_no_training(tmp_path, monkeypatch):
    def fail(*_):
        raise UserError("the model gives NaN")

    monkeypatch.setattr(GeneratorTask, "examples", fail)
    said = []
    config = runs.run_config(**OFTEN)
    assert train(config, tmp_path, corpus=runs.corpus(), warn=said.append).step == 12
    assert said == [f"no sounds of step {step}: the model gives NaN" for step in (4, 8, 12)]


def test_sounds_of_steps_that_are_taken_again_are_drawn_again(tmp_path, drawn, whole):
    run = shutil.copytree(whole[0], tmp_path / "run")
    for data in (run / "checkpoints" / "12" / "default" / "d").iterdir():
        data.write_bytes(b"")
    drawn.clear()
    config = runs.run_config(**OFTEN)
    train(config, run, corpus=runs.corpus(), warn=lambda line: None)
    assert len(drawn) == 1
    assert files(run) == files(whole[0])


def wave(seconds=1.0, **labels):
    return runs.sines("one.wav", int(seconds * runs.SAMPLE_RATE), 300, **labels)


def local(**changes):
    return LocalConditioningConfig(num_features=3, hop=8, channels=4, **changes)


def test_a_generator_draws_a_second_with_the_labels_of_recordings():
    labels = {"note": ("300", "400")}
    model = make_model(runs.model_config(labels=labels, sample_rate=800), 0)
    recordings = [wave(0.1, note="300"), wave(0.1, note="400")]
    first, second, third = sound.drawn(model, recordings, None)
    assert [item.labels["note"] for item in (first, second, third)] == ["300", "400", "300"]
    assert first.samples.shape == (800,)
    assert not np.array_equal(first.samples, third.samples)
    assert sound.example_labels([]) == [{}] * 3


@pytest.mark.parametrize("task", [VocoderTask, AutoencoderTask])
def test_a_model_that_makes_recordings_again_does_so_with_what_is_held_out_of_them(task):
    config = runs.model_config(local_conditioning=local())
    if task is AutoencoderTask:
        encoder = EncoderConfig(latent_size=3, hop=8, channels=4, dilations=(1, 2))
        config = AutoencoderConfig(decoder=config, encoder=encoder)
    recording = wave(0.1)
    features = np.zeros((100, 3), np.float32) if task is VocoderTask else None
    held_out = recording.__class__("a.wav", recording.codes, {}, features, scored=(203, 403))
    (example,) = task().examples(make_model(config, 0), [held_out])
    assert example.of == "a.wav"
    assert example.samples.shape == (203,)  # from the frame on in which it begins
    model_codes = runs.model_config().quantizer
    np.testing.assert_array_equal(example.recording, model_codes.decode(recording.codes[200:403]))
    assert task().examples(make_model(config, 0), []) == []


def test_a_diffusion_model_draws_sounds_of_a_second_with_labels_of_recordings(monkeypatch):
    asked = []

    def diffuse(model, seed, **options):
        asked.append({"seed": seed, **options})
        return np.zeros((options["batch_size"], options["num_samples"]), np.float32)

    monkeypatch.setattr("wavedil.generation.diffusion.diffuse", diffuse)
    labels = {"note": ("300", "400")}
    model = make_model(DiffWaveConfig.tiny(sample_rate=800, labels=labels), 0)
    examples = DiffusionTask().examples(model, [wave(0.1, note="400")])
    assert [dict(item.labels) for item in examples] == [{"note": "400"}] * 3
    (one,) = asked
    assert (one["seed"], one["num_samples"], list(one["labels"]["note"])) == (0, 800, [2, 2, 2])


def test_an_effect_plays_what_is_held_out_and_a_classifier_makes_no_sound():
    amp = AmpModelConfig(arrays=({"channels": 4, "dilations": (1, 2), "kernel_sizes": (2,)},))
    dry = tone(400)
    pair = Pair("a-wet.wav", dry, 0.5 * dry, scored=(300, 400))
    (example,) = EffectTask().examples(make_model(amp, 0), [pair])
    assert (example.of, example.samples.shape) == ("a-wet.wav", (100,))
    np.testing.assert_array_equal(example.recording, 0.5 * dry[300:])
    assert ClassifierTask(target="digit").examples(None, [wave()]) == []
