"""Checkpoints: what is read is what was written, or what was written before it."""

import os
import shutil

import jax
import numpy as np
import pytest
import training_runs as runs

from wavedil import UserError
from wavedil.training import Checkpoints, TrainingState, initial_state

CONFIG = runs.run_config()


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "deleted": lambda path: path.unlink(),
    "cut in half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "emptied": lambda path: path.write_bytes(b""),
    "one bit flipped": flip_a_bit,
}


def state_at(step):
    """A state that differs in every number from that of another step."""
    state = initial_state(CONFIG)
    rng = np.random.default_rng(step)
    noise = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(leaf.dtype), state)
    return TrainingState(np.int32(step), *noise[1:])


def restore(folder):
    """The newest whole state, and what was said about the others."""
    said = []
    checkpoints = Checkpoints(folder)
    like = jax.eval_shape(lambda: initial_state(CONFIG))
    state = checkpoints.restore_newest(like, said.append)
    checkpoints.close()
    return state, said


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with the checkpoints of steps 5 and 9."""
    folder = tmp_path_factory.mktemp("run") / "checkpoints"
    checkpoints = Checkpoints(folder)
    for step in (5, 9):
        checkpoints.save(state_at(step))
    checkpoints.close()
    return folder


def files(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def test_a_state_comes_back_bit_for_bit(saved):
    state, said = restore(saved)
    runs.assert_equal_states(state, state_at(9))
    assert not said


def test_an_empty_folder_has_no_state(tmp_path):
    assert restore(tmp_path / "checkpoints") == (None, [])


def test_the_newest_two_are_kept(saved, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "checkpoints")
    checkpoints = Checkpoints(folder)
    checkpoints.save(state_at(12))
    checkpoints.close()
    assert sorted(path.name for path in folder.iterdir()) == ["12", "9"]


def test_saving_a_step_again_leaves_it_as_it_is(saved, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "checkpoints")
    checkpoints = Checkpoints(folder)
    checkpoints.save(state_at(9))
    checkpoints.close()
    runs.assert_equal_states(restore(folder)[0], state_at(9))


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(damage, id=name, marks=[pytest.mark.long] * (number > 0))
        for number, (name, damage) in enumerate(DAMAGES.items())
    ],
)
def test_whatever_file_of_the_newest_is_damaged_it_is_named_and_the_one_before_is_taken(
    saved, tmp_path, damage
):
    for name in files(saved / "9"):
        folder = shutil.copytree(saved, tmp_path / "run" / "checkpoints")
        damage(folder / "9" / name)
        state, said = restore(folder)
        assert state is not None, name
        runs.assert_equal_states(state, state_at(int(state.step)))
        # Without their checksums the files are as whole as before; a wrong checksum names the file that it is of.
        if name.name == "checksums.json" and damage is DAMAGES["deleted"]:
            assert (int(state.step), said) == (9, [])
        else:
            assert int(state.step) == 5
            assert len(said) == 1, said
            assert "checkpoint 9 cannot be read" in said[0]
            assert name.as_posix() in said[0] or name.name == "checksums.json"
            assert "moved to broken-checkpoint-9" in said[0]
            assert (folder.parent / "broken-checkpoint-9").is_dir()
        shutil.rmtree(tmp_path / "run")


def test_a_bit_that_changed_among_the_numbers_is_noticed(tmp_path):
    """Arrays above a kilobyte lie in files that nothing else checks."""
    numbers = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    large = TrainingState(np.int32(9), {"w": numbers}, {}, ())
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(large)
    checkpoints.close()
    largest = max(map((tmp_path / "9").joinpath, files(tmp_path / "9")), key=os.path.getsize)
    flip_a_bit(largest)
    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(UserError, match=rf"{largest.name} is not what was written"):
        checkpoints.restore_newest(large, runs.fail)
    checkpoints.close()


def test_after_a_broken_checkpoint_its_step_is_saved_anew(saved, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "checkpoints")
    shutil.rmtree(folder / "9" / "default")
    said = []
    checkpoints = Checkpoints(folder)
    like = state_at(0)
    assert int(checkpoints.restore_newest(like, said.append).step) == 5
    assert "checkpoint 9" in said[0]
    checkpoints.save(state_at(9))
    checkpoints.close()
    state, said = restore(folder)
    runs.assert_equal_states(state, state_at(9))
    assert not said


def test_where_no_checkpoint_is_whole_each_is_named_and_none_is_moved(saved, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "checkpoints")
    for step in ("5", "9"):
        shutil.rmtree(folder / step / "default")
    with pytest.raises(UserError, match=r"none can be read \(9: .*; 5: .*\)"):
        restore(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["5", "9"]


def test_what_an_interrupted_save_left_is_neither_read_nor_kept(saved, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "checkpoints")
    shutil.copytree(folder / "9", folder / "12.orbax-checkpoint-tmp")
    state, said = restore(folder)
    assert int(state.step) == 9
    assert not said
    assert sorted(path.name for path in folder.iterdir()) == ["5", "9"]


def test_no_pickle_is_in_a_checkpoint(saved):
    for name in files(saved):
        content = (saved / name).read_bytes()
        assert not (content.startswith(b"\x80") and content.endswith(b".")), name
        assert name.suffix not in (".pkl", ".pickle"), name
