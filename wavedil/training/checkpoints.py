"""Checkpoints: the whole training state on disk, atomically; the newest whole one is where a run goes on."""

import logging
import shutil
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from wavedil.errors import UserError
from wavedil.files import require_room, sync_tree, writing
from wavedil.ops.devices import on_one_device
from wavedil.training.checksums import require_unchanged, write_checksums
from wavedil.training.state import TrainingState

_KEEP = 2
# Of several hosts the first has all there is, for devices that share a batch hold the same; it waits for no other.
_ALONE = ocp.options.MultiprocessingOptions(primary_host=0, active_processes={0})
# Bytes of a checkpoint beside its numbers: a few dozen small files.
_ROOM_FOR_NAMES = 1 << 18


class Checkpoints:
    """The checkpoints of a run.

    A checkpoint is written under a temporary name and renamed when it is
    whole. What is on disk is a flat mapping from names to arrays, which no
    code needs to run to read.

    Args:
      folder: Made if it is not there.
      stored_name: Weight's name -> the name under which the checkpoints of this folder hold it, where that is
        another: of runs that an older version began.
    """

    def __init__(self, folder: Path, stored_name: Callable[[str], str] = str) -> None:
        self._stored_name = stored_name
        # What fails is raised; the library would say it a second time, with tracebacks.
        logging.getLogger("absl").setLevel(logging.CRITICAL)
        self._folder = folder.absolute()
        self._folder.mkdir(parents=True, exist_ok=True)
        # The library takes brackets, backslashes and the like in a path for patterns and addresses, and loses what it
        # writes there; so it is shown a link of a plain name.
        place = tempfile.mkdtemp(prefix="wavedil-")
        self._end = weakref.finalize(self, shutil.rmtree, place, ignore_errors=True)
        self._link = Path(place, "checkpoints")
        self._link.symlink_to(self._folder)
        self._manager = self._open()

    def save(self, state: TrainingState) -> None:
        """Writes the state under its step; the newest two are kept.

        Raises:
          WriteError: If the disk is full, or refuses; what was written until then is deleted.
        """
        step = int(state.step)
        if step in self._manager.all_steps():
            return
        place, mapping = self._folder / str(step), self._to_mapping(state)
        # The library meets a full disk with tracebacks from each of its threads.
        num_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(mapping))
        require_room(self._folder, num_bytes + num_bytes // 8 + _ROOM_FOR_NAMES)
        try:
            with writing(place):
                self._manager.save(step, args=ocp.args.StandardSave(mapping))
                self._manager.wait_until_finished()
                sync_tree(place)
                write_checksums(place)
        except BaseException:
            for unfinished in self._folder.glob("*tmp*"):
                shutil.rmtree(unfinished, ignore_errors=True)
            raise

    @property
    def newest(self) -> int | None:
        """Step of the newest checkpoint; None where there is none."""
        steps: list[int] = self._manager.all_steps()
        return max(steps, default=None)

    def discard(self, step: int) -> None:
        """Deletes the checkpoint of a step that turned out to be of no use."""
        self._manager.delete(step)

    def restore_newest(
        self, like: TrainingState, warn: Callable[[str], None]
    ) -> TrainingState | None:
        """The state of the newest whole checkpoint, or None when there is none.

        A checkpoint that cannot be read (a file of it is truncated, gone or has other content) is
        named through `warn` and moved aside, and the one before it is taken.

        Raises:
          UserError: If there are checkpoints and none of them can be read; nothing is moved then.
        """
        target = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), self._to_mapping(like)
        )
        unreadable: dict[int, str] = {}
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                require_unchanged(self._folder / str(step))
                # By itself: the manager draws conclusions from the newest checkpoint, which may be the broken one.
                with ocp.StandardCheckpointer(multiprocessing_options=_ALONE) as reader:
                    mapping = reader.restore(self._link / str(step) / "default", target)
            except Exception as error:  # whatever is wrong, the one before may be whole
                lines = str(error).splitlines() or [type(error).__name__]
                unreadable[step] = lines[0][:200]
                continue
            for broken, reason in unreadable.items():
                aside = self._move_aside(broken)
                warn(f"checkpoint {broken} cannot be read ({reason}); it was moved to {aside.name}")
            return self._from_mapping(like, mapping)
        if unreadable:
            reasons = "; ".join(f"{step}: {reason}" for step, reason in unreadable.items())
            raise UserError(
                f"{self._folder} holds checkpoints, but none can be read ({reasons}); repair or delete them, "
                "or start in a new folder"
            )
        return None

    def close(self) -> None:
        """Ends the background work of the checkpoint library."""
        self._manager.close()
        self._end()

    def _open(self) -> ocp.CheckpointManager:
        options = ocp.CheckpointManagerOptions(
            max_to_keep=_KEEP,
            enable_async_checkpointing=False,
            cleanup_tmp_directories=True,
            create=False,
            multiprocessing_options=_ALONE,
        )
        return ocp.CheckpointManager(self._link, options=options)

    def _move_aside(self, step: int) -> Path:
        names = (
            f"broken-checkpoint-{step}{suffix}"
            for suffix in ("", *map("-{}".format, range(2, 1000)))
        )
        aside = next(path for name in names if not (path := self._folder.parent / name).exists())
        shutil.move(self._folder / str(step), aside)
        self._manager.close()
        self._manager = self._open()
        return aside

    def _to_mapping(self, state: TrainingState) -> dict[str, Any]:
        """The state with string keys only: integer keys and tuples change type on their way through a file."""
        # Of one device, so that it does not matter how many there are where it is read.
        stored = on_one_device(_renamed(state, self._stored_name))
        if jax.process_count() > 1:
            stored = jax.tree.map(_as_numpy, stored)
        optimizer = jax.tree.leaves(stored.optimizer)
        return {
            "step": stored.step,
            "weights": stored.weights,
            "averaged": stored.averaged,
            "optimizer": {f"{index:05d}": leaf for index, leaf in enumerate(optimizer)},
        }

    def _from_mapping(self, like: TrainingState, mapping: dict[str, Any]) -> TrainingState:
        mapping = jax.tree.map(jnp.asarray, mapping)
        leaves = [mapping["optimizer"][name] for name in sorted(mapping["optimizer"])]
        # Leaves come in the order of the names, which is that of the stored ones.
        structure = jax.tree.structure(_renamed(like, self._stored_name).optimizer)
        optimizer = jax.tree.unflatten(structure, leaves)
        stored = TrainingState(mapping["step"], mapping["weights"], mapping["averaged"], optimizer)
        own_name = {self._stored_name(name): name for name in like.weights}
        return _renamed(stored, own_name.__getitem__)


def _as_numpy(leaf: Any) -> Any:
    """Arrays as the library takes them from one of several hosts."""
    return leaf if isinstance(leaf, jax.ShapeDtypeStruct) else np.asarray(leaf)


def _renamed(state: TrainingState, rename: Callable[[str], str]) -> TrainingState:
    """The state with other names of the weights, in the optimizer's trees of them too."""

    def of_weights(tree: Any) -> bool:
        return isinstance(tree, dict) and tree.keys() == state.weights.keys()

    def of(tree: Any) -> Any:
        return {rename(name): leaf for name, leaf in tree.items()} if of_weights(tree) else tree

    renamed: TrainingState = jax.tree.map(of, state, is_leaf=of_weights)
    return renamed
