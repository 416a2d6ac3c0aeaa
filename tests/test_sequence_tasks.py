"""The experiment on published sequence tasks: what it makes and reads, what an answer costs, and that it learns."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.io

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from experiments.sequence_tasks import __main__ as command_line  # noqa: E402
from experiments.sequence_tasks import training  # noqa: E402
from experiments.sequence_tasks.__main__ import main  # noqa: E402
from experiments.sequence_tasks.data import (  # noqa: E402
    Sequences,
    Splits,
    adding_problem,
    copy_memory,
    read_piano_rolls,
)
from experiments.sequence_tasks.networks import network_of  # noqa: E402
from experiments.sequence_tasks.tasks import (  # noqa: E402
    TASKS,
    Settings,
    cross_entropy,
    frame_nll,
    squared_error,
)

SMALL = Settings(
    kernel_size=2, levels=1, channels=6, learning_rate=1e-2, batch_size=4, epochs=3, clip=1.0
)
NUM_KEYS = 5


def test_target_of_the_adding_problem_is_the_sum_of_two_marked_numbers() -> None:
    inputs, targets, mask = adding_problem(jax.random.key(0), 500, 7)
    numbers, marks = np.asarray(inputs[..., 0]), np.asarray(inputs[..., 1])
    assert set(marks.ravel()) == {0, 1} and (marks.sum(axis=1) == 2).all() and mask.all()
    assert numbers.min() >= 0 and numbers.max() < 1
    np.testing.assert_allclose(targets[:, 0], (numbers * marks).sum(axis=1), rtol=1e-6)
    # Every pair of steps is marked, about equally often: 500 over 21 pairs.
    pairs, counts = np.unique(marks, axis=0, return_counts=True)
    assert len(pairs) == 21 and counts.min() > 8 and counts.max() < 45


def test_copy_memory_asks_for_the_first_symbols_at_the_end() -> None:
    inputs, targets, _ = copy_memory(jax.random.key(0), 50, 30)
    symbols = np.asarray(inputs[:, :10, 0])
    assert inputs.shape == (50, 50, 1) and set(symbols.ravel()) == set(range(1, 9))
    assert (inputs[:, 10:39] == 0).all() and (inputs[:, 39:] == 9).all()
    assert (targets[:, :40] == 0).all()
    np.testing.assert_array_equal(targets[:, 40:], symbols)


def random_pieces(lengths: list[int], num_keys: int = NUM_KEYS, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 2, (length, num_keys)).astype(np.uint8) for length in lengths]


def cell(pieces: list[Any]) -> np.ndarray:
    """A cell array of one row."""
    array = np.empty((1, len(pieces)), object)
    array[0] = [None] * len(pieces)
    for number, piece in enumerate(pieces):
        array[0, number] = piece
    return array


def write_rolls(path: Path, **changed: Any) -> str:
    sets = {
        "traindata": cell(random_pieces([6, 3, 9, 4, 12])),
        "validdata": cell(random_pieces([5, 1, 8])).T,
        "testdata": cell([piece.astype(float) for piece in random_pieces([2])]),
    }
    content = {name: value for name, value in {**sets, **changed}.items() if value is not None}
    scipy.io.savemat(path, content)
    return str(path)


def test_every_frame_of_a_piano_roll_is_predicted_from_those_before(tmp_path: Path) -> None:
    splits = read_piano_rolls(write_rolls(tmp_path / "rolls.mat"))
    pieces = random_pieces([6, 3, 9, 4, 12])
    assert splits.train.inputs.shape == (5, 11, NUM_KEYS)
    for row, piece in enumerate(pieces):
        inputs, targets, mask = (array[row] for array in splits.train)
        assert mask.sum() == len(piece) - 1 and mask[: len(piece) - 1].all()
        np.testing.assert_array_equal(inputs[mask], piece[:-1])
        np.testing.assert_array_equal(targets[mask], piece[1:])
        assert not inputs[~mask].any()
    # Of the validation set's three pieces one is a single frame.
    assert splits.valid.mask.sum(axis=1).tolist() == [4, 7]
    assert splits.test.mask.sum() == 1


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"validdata": None}, "has no validdata"),
        ({"traindata": np.zeros((3, 4))}, "traindata"),
        ({"testdata": cell(random_pieces([4], 6))}, "5 and 6 keys"),
        ({"testdata": cell([2 * piece for piece in random_pieces([4])])}, "piece 1 of testdata"),
        ({"validdata": cell([np.full((3, NUM_KEYS), np.nan)])}, "piece 1 of validdata"),
        ({"validdata": cell(random_pieces([1]))}, "two frames"),
        ({"validdata": cell(["a", "b"])}, "piece 1 of validdata"),
    ],
)
def test_wrong_piano_rolls_are_refused_in_one_line(
    changed: Any, said: str, tmp_path: Path, capsys: Any
) -> None:
    path = write_rolls(tmp_path / "rolls.mat", **changed)
    refused(["jsb", "--data", path], said, capsys)


def test_what_is_no_matlab_file_is_refused_in_one_line(tmp_path: Path, capsys: Any) -> None:
    refused(["jsb", "--data", str(tmp_path / "missing.mat")], "missing.mat", capsys)
    refused(["jsb", "--data", str(tmp_path)], "is no file", capsys)
    for number, content in enumerate([b"", b"no MATLAB", b"MATLAB 5.0 MAT-file" + bytes(200)]):
        path = tmp_path / f"{number}.mat"
        path.write_bytes(content)
        refused(["jsb", "--data", str(path)], path.name, capsys)


@pytest.mark.parametrize(
    "options",
    [
        ["--levels", "0"],
        ["--kernel-size", "0"],
        ["--dropout", "1"],
        ["--batch-size", "9"],
        ["--learning-rate", "-1"],
        ["--clip", "nan"],
        ["--seeds", "-1"],
        ["--results", "/missing/rows.json"],
    ],
)
def test_wrong_settings_are_refused_in_one_line(
    options: list[str], tmp_path: Path, capsys: Any
) -> None:
    path = write_rolls(tmp_path / "rolls.mat")
    refused(["jsb", "--data", path, *options], options[1], capsys)


def refused(words: list[str], said: str, capsys: Any) -> None:
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and said in error


def test_a_perfect_answer_costs_nothing_and_guessing_what_it_must() -> None:
    sums = adding_problem(jax.random.key(0), 4000, 9)
    assert mean(squared_error, sums.targets[:, None], sums) == 0
    # The variance of a sum of two uniform numbers.
    ones = jnp.ones_like(sums.targets[:, None])
    assert mean(squared_error, ones, sums) == pytest.approx(1 / 6, rel=0.1)

    symbols = copy_memory(jax.random.key(0), 3, 20)
    perfect = 100.0 * jax.nn.one_hot(symbols.targets, 10)
    assert mean(cross_entropy, perfect, symbols) == pytest.approx(0, abs=1e-6)
    assert mean(cross_entropy, 0 * perfect, symbols) == pytest.approx(np.log(10), rel=1e-5)

    rolls = random_rolls([3, 9, 6])
    perfect = jnp.where(rolls.targets, 100.0, -100.0)
    assert mean(frame_nll, perfect, rolls) == pytest.approx(0, abs=1e-6)
    assert mean(frame_nll, 0 * perfect, rolls) == pytest.approx(NUM_KEYS * np.log(2), rel=1e-5)


def mean(loss: Any, outputs: Any, data: Sequences) -> float:
    total, size = loss(outputs, data)
    return float(total / size)


def random_rolls(lengths: list[int], seed: int = 0) -> Sequences:
    from experiments.sequence_tasks.data import _padded

    return _padded(random_pieces(lengths, seed=seed))


@pytest.mark.long
def test_published_settings_give_networks_of_the_published_sizes() -> None:
    sizes = {"adding": (2, 1, 70_000), "copy": (1, 10, 13_000), "jsb": (88, 88, 270_000)}
    for task, (in_channels, out_channels, published) in sizes.items():
        settings = TASKS[task].settings
        _, tcn = network_of(settings, in_channels, out_channels)
        gated_settings = dataclasses.replace(settings, network="gated")
        _, gated = network_of(gated_settings, in_channels, out_channels)
        assert tcn == pytest.approx(published, rel=0.05)
        assert 0.95 * tcn < gated <= tcn


@pytest.mark.long
def test_seeds_and_lengths_share_a_run_without_changing_it(monkeypatch: Any) -> None:
    lengths = [4, 12, 7, 5, 9, 3, 12, 6]
    splits = Splits(random_rolls(lengths), random_rolls(lengths[:4], 1), random_rolls([3]))
    make, _ = network_of(SMALL, NUM_KEYS, NUM_KEYS)

    def trained(seeds: list[int], num_lengths: int) -> training.Trained:
        monkeypatch.setattr(training, "NUM_LENGTHS", num_lengths)
        return training.train(make, frame_nll, splits, SMALL, seeds, report=lambda line: None)

    together, alone = trained([3, 5], 2), trained([5], 1)
    assert together.num_steps == 6 and together.valid[0] != together.valid[1]
    np.testing.assert_allclose(alone.valid, together.valid[1:], rtol=1e-4)
    # What is kept are the weights of the best epoch.
    np.testing.assert_allclose(together.score(splits.valid), together.valid, rtol=1e-5)


@pytest.mark.long
def test_a_run_that_is_asked_to_stop_gives_its_row_so_far(tmp_path: Path, monkeypatch: Any) -> None:
    pieces, results = random_pieces([4] * 5), tmp_path / "rows.json"
    path = write_rolls(tmp_path / "rolls.mat", traindata=cell(pieces))
    monkeypatch.setattr(
        command_line, "print_line", lambda line: os.kill(os.getpid(), signal.SIGTERM)
    )
    words = ["jsb", "--data", path, "--channels", "4", "--levels", "1", "--seeds", "0"]
    assert main([*words, "--test", "--results", str(results)]) == 0
    (row,) = json.loads(results.read_text()).values()
    assert row["steps"] == 5 and row["best_epochs"] == [1] and row["test"]["mean"] > 0


def test_cosine_takes_the_rate_from_all_to_nothing() -> None:
    settings = dataclasses.replace(SMALL, decay="cosine", epochs=2)
    shares = [training.shares_of_rate(settings, number, 50) for number in range(2)]
    assert shares[0][0] == 1 and shares[1][0] == pytest.approx(0.5) and 0 < shares[1][-1] < 1e-3
    assert (np.diff(np.concatenate(shares)) < 0).all()


@pytest.mark.long
def test_any_file_of_piano_rolls_gives_a_row_and_is_learned(tmp_path: Path) -> None:
    # Held notes, which a network learns at once.
    held = [np.repeat(piece, 12, axis=0) for piece in random_pieces([1] * 24)]
    path = write_rolls(tmp_path / "held.mat", traindata=cell(held), validdata=cell(held[:4]))
    results = tmp_path / "rows.json"
    words = ["jsb", "--data", path, "--network", "gated", "--channels", "8", "--seeds", "7", "8"]
    words += ["--learning-rate", "0.02", "--dropout", "0.1", "--results", str(results)]
    assert main([*words, "--levels", "1", "--epochs", "3"]) == 0
    ((name, row),) = json.loads(results.read_text()).items()
    assert name == "held, gated, levels 1, channels 8, dropout 0.1, learning_rate 0.02, epochs 3"
    assert row["valid"]["mean"] < 0.8 * NUM_KEYS * np.log(2)
    assert row["steps"] == 72 and row["seeds"] == [7, 8] and len(row["valid"]["each"]) == 2
    # The test set is scored where it is asked for and nowhere else.
    assert "test" not in row


def test_runs_where_nothing_that_reads_sounds_or_draws_is_installed() -> None:
    absent = ["librosa", "soundfile", "soxr", "matplotlib", "tyro", "safetensors", "beartype"]
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({absent}))\n"
        "import wavedil.nn, experiments.sequence_tasks.__main__ as task\n"
        "task.parser()"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
