"""Training further: more steps, moved and changed recordings, and the weights of another run to start from."""

import dataclasses
import shutil

import jax
import numpy as np
import pytest
import training_runs as runs
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

import wavedil as wd
from wavedil import UserError, WaveNet
from wavedil.models import KnobConfig, make_model, named_weights
from wavedil.runs import RunFolder
from wavedil.runs import train_as as train
from wavedil.runs.start import weights_from, with_scales
from wavedil.tasks.effect import SIZES as EFFECT_SIZES
from wavedil.training import TrainingConfig, initial_state, learning_rate

one_compilation = runs.one_compilation
pytestmark = pytest.mark.usefixtures("one_compilation")

TCN = wd.TCNConfig(channels=4, dilations=(1,), target="digit", values=("1", "2"))
OFTEN = {"save_every": 4, "evaluate_every": 8, "learning_rate": 0.05}
SHORT, LONGER = runs.run_config(steps=10, **OFTEN), runs.run_config(steps=20, **OFTEN)


def amp(least, most):
    """A small amp with a knob."""
    return dataclasses.replace(
        EFFECT_SIZES["nano"](), knobs=(KnobConfig(knob="gain", least=least, most=most),)
    )


class KilledError(BaseException):
    """Ends a run at once, as a kill does: nothing more is saved."""


def train_until(config, folder, last):
    """Trains, and is killed after a step."""

    def kill(progress):
        if progress.step == last:
            raise KilledError

    with pytest.raises(KilledError):
        train(config, folder, corpus=runs.corpus(), report=kill)


@pytest.fixture(scope="module")
def further(tmp_path_factory):
    """A run of ten steps, and the same trained on to twenty without a break."""
    folder = tmp_path_factory.mktemp("further")
    train(SHORT, folder / "short", corpus=runs.corpus())
    shutil.copytree(folder / "short", folder / "longer")
    train(LONGER, folder / "longer", corpus=runs.corpus())
    return folder


@pytest.mark.long
def test_a_run_that_is_trained_further_and_killed_equals_one_that_was_not_killed(tmp_path, further):
    run = shutil.copytree(further / "short", tmp_path / "run")
    for last in (13, 19):
        train_until(LONGER, run, last)
    assert train(LONGER, run, corpus=runs.corpus(), warn=runs.fail).step == 20
    expected = runs.final_state(further / "longer", LONGER)
    runs.assert_equal_states(runs.final_state(run, LONGER), expected)
    assert runs.lines(run) == runs.lines(further / "longer")
    weights = [wd.load(folder) for folder in (run, further / "longer")]
    assert jax.tree.all(jax.tree.map(np.array_equal, *map(named_weights, weights)))


@pytest.mark.long
def test_what_was_trained_before_stays_and_the_schedule_is_that_of_the_new_total_from_there_on(
    further,
):
    training = RunFolder(further / "longer").read_config().training
    assert (training.steps, training.earlier) == (20, ((10, 10),))
    rates = {
        line["step"]: line["learning_rate"]
        for line in runs.lines(further / "longer")
        if "learning_rate" in line
    }
    for config, steps in ((SHORT, range(1, 11)), (LONGER, range(11, 21))):
        expected = [learning_rate(config.training)(step - 1) for step in steps]
        np.testing.assert_allclose([rates[step] for step in steps], expected, rtol=1e-6)
    assert runs.lines(further / "short") == runs.lines(further / "longer")[: 10 + 2]


@pytest.mark.long
def test_a_run_trained_further_in_the_middle_is_a_function_of_its_steps(tmp_path):
    for name, kills in (("killed", (13,)), ("calm", ())):
        train_until(SHORT, tmp_path / name, 7)
        for last in kills:
            train_until(LONGER, tmp_path / name, last)
        train(LONGER, tmp_path / name, corpus=runs.corpus())
    assert RunFolder(tmp_path / "calm").read_config().training.earlier == ((10, 4),)
    states = [runs.final_state(tmp_path / name, LONGER) for name in ("killed", "calm")]
    runs.assert_equal_states(*states)


@given(begun=st.lists(st.integers(0, 30), max_size=3), step=st.integers(0, 40))
@settings(max_examples=30)
def test_the_schedule_is_that_of_the_last_total_that_was_set_by_then(begun, step):
    begun = sorted(begun)
    totals = [10 * (1 + number) for number in range(len(begun) + 1)]
    earlier = tuple(zip(totals, begun, strict=False))
    further = TrainingConfig(steps=totals[-1], earlier=earlier)
    current = totals[sum(first <= step for first in begun)]
    expected = learning_rate(TrainingConfig(steps=current))(step)
    np.testing.assert_allclose(learning_rate(further)(step), expected, rtol=1e-6)


def test_steps_may_not_shrink_and_a_refused_run_is_left_alone(tmp_path, further):
    run = shutil.copytree(further / "longer", tmp_path / "run")
    before = (run / "config.json").read_bytes()
    with pytest.raises(UserError, match=r"training\.steps: 20 -> 10; .*steps alone may grow"):
        train(SHORT, run, corpus=runs.corpus())
    assert (run / "config.json").read_bytes() == before


CHANGES = {
    "added": (lambda items: [*items, runs.sines("new.wav", 300, 250)], "added: new.wav"),
    "removed": (lambda items: items[1:], "removed: note_200.wav"),
    "renamed": (
        lambda items: [*items[1:], dataclasses.replace(items[0], path="z.wav")],
        "renamed: note_200.wav -> z.wav",
    ),
    "changed": (
        lambda items: [runs.sines("note_200.wav", 400, 210), *items[1:]],
        "changed: note_200.wav (its sound)",
    ),
    "labelled": (
        lambda items: [dataclasses.replace(items[0], labels={"note": "a"}), *items[1:]],
        "changed: note_200.wav (its labels or features)",
    ),
    "reordered": (lambda items: items[::-1], "their order"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_recordings_that_are_others_are_listed(tmp_path, further, change):
    make, expected = CHANGES[change]
    run = shutil.copytree(further / "short", tmp_path / "run")
    corpus = runs.corpus()
    other = dataclasses.replace(corpus, train=tuple(make(list(corpus.train))))
    with pytest.raises(UserError) as refused:
        train(SHORT, run, corpus=other)
    assert f"trained on other recordings: {expected}; restore them, or" in str(refused.value)
    assert "--start-from" in str(refused.value)


def test_recordings_that_move_to_the_other_side_are_listed(tmp_path, further):
    run = shutil.copytree(further / "short", tmp_path / "run")
    corpus = runs.corpus()
    moved = dataclasses.replace(
        corpus, train=(*corpus.train[1:], corpus.test[0]), test=(*corpus.test[1:], corpus.train[0])
    )
    with pytest.raises(UserError, match=r"note_200\.wav \(held out\), long\.wav \(no longer held"):
        train(SHORT, run, corpus=moved)


def test_the_same_recordings_under_other_names_are_the_same(tmp_path, further):
    run = shutil.copytree(further / "short", tmp_path / "run")
    corpus = runs.corpus()

    def elsewhere(items):
        return tuple(dataclasses.replace(item, path=f"/new/{item.path}") for item in items)

    moved = dataclasses.replace(corpus, train=elsewhere(corpus.train), test=elsewhere(corpus.test))
    for _ in range(2):
        assert train(LONGER, run, corpus=moved).step == 20
    expected = runs.final_state(further / "longer", LONGER)
    runs.assert_equal_states(runs.final_state(run, LONGER), expected)
    assert RunFolder(run).read_recordings()[0].path == "/new/note_200.wav"


def test_a_run_that_lists_no_recordings_says_that_others_are_not_known(tmp_path, further):
    run = shutil.copytree(further / "short", tmp_path / "run")
    (run / "recordings.jsonl").unlink()
    corpus = runs.corpus()
    with pytest.raises(UserError, match="other recordings: which of them is not known; restore"):
        train(SHORT, run, corpus=dataclasses.replace(corpus, train=corpus.train[1:]))
    assert train(SHORT, run, corpus=corpus).step == 10
    assert len(RunFolder(run).read_recordings()) == 6


def test_a_run_that_starts_from_another_has_its_weights_and_of_labels_those_that_both_know(
    tmp_path,
):
    labels = [{"note": ("200", "300", "400")}, {"note": ("300", "400", "500")}]
    first, second = (runs.model_config(labels=values) for values in labels)
    wd.save(WaveNet(first, rngs=nnx.Rngs(7)), tmp_path / "first")
    weights = named_weights(wd.load(tmp_path / "first"))
    config = dataclasses.replace(runs.run_config(model=second), start_from=str(tmp_path / "first"))
    found = weights_from(config)
    (table,) = (name for name in weights if "label_embeddings" in name)
    assert all(np.array_equal(found[name], weights[name]) for name in weights.keys() - {table})
    # Row 0 is that of unlabelled sound.
    np.testing.assert_array_equal(found[table][:3], np.asarray(weights[table])[[0, 2, 3]])
    drawn = named_weights(make_model(second, config.training.seed))
    np.testing.assert_array_equal(found[table][3], drawn[table][3])
    state = initial_state(config, found)
    assert all(state.weights[name] is found[name] for name in found)


@pytest.mark.parametrize(
    ("trained", "decided"),
    [
        (TCN, dataclasses.replace(TCN, mean=-5.0, deviation=1.5)),
        (wd.DiffWaveConfig.tiny(level=0.2), wd.DiffWaveConfig.tiny(level=0.05)),
        (amp(0.0, 1.0), amp(0.2, 0.7)),
    ],
    ids=lambda config: config.name,
)
def test_a_run_that_starts_from_another_keeps_the_scales_that_its_weights_were_trained_at(
    trained, decided, tmp_path
):
    wd.save(make_model(trained, 0), tmp_path / "first")
    config = dataclasses.replace(SHORT, model=decided, start_from=str(tmp_path / "first"))
    assert with_scales(config, tmp_path / "run").model == trained


def test_settings_of_a_knob_beyond_those_that_weights_know_are_refused(tmp_path):
    wd.save(make_model(amp(0.0, 1.0), 0), tmp_path / "first")
    config = dataclasses.replace(SHORT, model=amp(0.5, 2.0), start_from=str(tmp_path / "first"))
    with pytest.raises(UserError, match=r"gain from 0.5 to 2, but the weights of .* from 0 to 1;"):
        with_scales(config, tmp_path / "run")


def test_weights_of_a_knob_are_not_those_of_another(tmp_path):
    wd.save(make_model(amp(0.0, 1.0), 0), tmp_path / "first")
    tone = dataclasses.replace(amp(0.0, 1.0), knobs=(KnobConfig(knob="tone"),))
    config = dataclasses.replace(SHORT, model=tone, start_from=str(tmp_path / "first"))
    with pytest.raises(
        UserError, match=r"have the knobs tone, but the weights of .* those of gain"
    ):
        with_scales(config, tmp_path / "run")


def test_weights_of_values_go_to_no_other_label_that_has_the_same(tmp_path):
    wd.save(make_model(TCN, 0), tmp_path / "first")
    rooms = dataclasses.replace(TCN, target="room")
    config = dataclasses.replace(
        SHORT, model=rooms, training=TrainingConfig(seed=1), start_from=str(tmp_path / "first")
    )
    drawn, found = named_weights(make_model(rooms, 1)), weights_from(config)
    for name, weight in found.items():
        of_output = name.startswith("output.")
        assert not of_output or np.array_equal(weight, drawn[name])
    assert any(name.startswith("output.") for name in found)


@pytest.mark.long
def test_a_run_needs_what_it_started_from_no_longer_once_it_has_begun(tmp_path, further):
    source = shutil.copytree(further / "short", tmp_path / "source")
    config = dataclasses.replace(SHORT, start_from=str(source))
    train_until(config, tmp_path / "run", 1)
    shutil.rmtree(source)
    assert train(config, tmp_path / "run", corpus=runs.corpus()).step == 10


def test_weights_of_another_shape_are_refused_by_name(further):
    config = runs.resolve(runs.run_config(model=runs.model_config(skip_channels=4)), runs.corpus())
    with pytest.raises(
        UserError, match=r"weight \S+ has shape \(.*needs .*; leave out the options"
    ):
        weights_from(dataclasses.replace(config, start_from=str(further / "short")))


def test_held_out_recordings_that_the_run_before_was_trained_on_are_said_and_known(
    tmp_path, further
):
    corpus, said = runs.corpus(), []
    crossed = dataclasses.replace(corpus, train=corpus.train[1:], test=corpus.train[:1])
    config = dataclasses.replace(SHORT, start_from=str(further / "short"))
    train(config, tmp_path / "run", corpus=crossed, warn=said.append)
    (line,) = said
    assert line.startswith(f"1 of 1 held-out recordings were trained on in {further / 'short'};")
    listed = RunFolder(tmp_path / "run").read_recordings()
    assert [item.path for item in listed if item.before and item.split == "train"] == [
        item.path for item in corpus.train
    ]
    # It is taken up as any other, and says it no more.
    train(config, tmp_path / "run", corpus=crossed, warn=runs.fail)
