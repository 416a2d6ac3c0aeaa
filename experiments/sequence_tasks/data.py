"""What is learned: two synthetic problems, made on the device, and piano rolls out of a MATLAB file."""

import os
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.io
from jax import Array

from wavedil.errors import UserError

NUM_SYMBOLS = 10  # blank, eight to remember, and the sign to repeat them
NUM_REMEMBERED = 10


class Sequences(NamedTuple):
    """Many sequences in one array each, zeros after the end of a shorter one."""

    inputs: Array  # [sequences, time, channels]
    targets: (
        Array  # [sequences, time, ...], or [sequences, 1] where one number is asked for at the end
    )
    mask: Array  # bool [sequences, time]


class Splits(NamedTuple):
    train: Sequences
    valid: Sequences
    test: Sequences


def adding_problem(key: Array, count: int, num_steps: int) -> Sequences:
    """Two of the numbers are marked, and their sum is the target.

    number   0.3  0.9  0.1  0.7  0.2
    mark      0    1    0    0    1      target 1.1
    """
    of_numbers, of_marks = jax.random.split(key)
    numbers = jax.random.uniform(of_numbers, (count, num_steps))
    # Two different steps: the second is one of those that the first left, counted from it round the end.
    first, gap = jax.random.split(of_marks)
    first = jax.random.randint(first, (count,), 0, num_steps)
    second = (first + jax.random.randint(gap, (count,), 1, num_steps)) % num_steps
    steps = jnp.arange(num_steps)[None]
    marks = (steps == first[:, None]) | (steps == second[:, None])
    inputs = jnp.stack([numbers, marks.astype(numbers.dtype)], axis=-1)
    targets = jnp.where(marks, numbers, 0).sum(axis=1, keepdims=True)
    return Sequences(inputs, targets, jnp.ones((count, num_steps), bool))


def copy_memory(key: Array, count: int, num_blanks: int) -> Sequences:
    """Ten symbols come first and are asked for after a long blank.

    inputs    s s ... s   0 ... 0      9 9 ... 9        10 symbols, blanks - 1 zeros, 11 signs to repeat
    targets   0 0 ............... 0    s s ... s        blanks + 10 zeros, 10 symbols
    """
    symbols = jax.random.randint(key, (count, NUM_REMEMBERED), 1, NUM_SYMBOLS - 1)
    sign = NUM_SYMBOLS - 1
    inputs = jnp.pad(symbols, ((0, 0), (0, num_blanks - 1)))
    inputs = jnp.pad(inputs, ((0, 0), (0, NUM_REMEMBERED + 1)), constant_values=sign)
    targets = jnp.pad(symbols, ((0, 0), (num_blanks + NUM_REMEMBERED, 0)))
    return Sequences(inputs[..., None].astype(jnp.float32), targets, jnp.ones(inputs.shape, bool))


def read_piano_rolls(path: str) -> Splits:
    """The three sets of a MATLAB file, in which every frame of a piece is to be predicted from those before.

    Raises:
      UserError: If it is no such file.
    """
    cells = _read_cells(path)
    sets = [
        [_piece(path, name, number, piece) for number, piece in enumerate(cells[name], start=1)]
        for name in cells
    ]
    widths = {piece.shape[1] for pieces in sets for piece in pieces}
    if len(widths) != 1:
        raise UserError(
            f"{path!r} has pieces of {' and '.join(map(str, sorted(widths)))} keys; all must have equally many"
        )
    # A piece of one frame has nothing to predict.
    sets = [[piece for piece in pieces if len(piece) > 1] for pieces in sets]
    for name, pieces in zip(cells, sets, strict=True):
        if not pieces:
            raise UserError(f"{path!r} has no piece of two frames or more in {name}; give it one")
    return Splits(*map(_padded, sets))


def _read_cells(path: str) -> dict[str, np.ndarray]:
    if not os.path.isfile(path):
        raise UserError(f"{path!r} is no file; give --data a MATLAB file of piano rolls")
    names = ["traindata", "validdata", "testdata"]
    try:
        content = scipy.io.loadmat(path, variable_names=names)
    except Exception as error:  # scipy raises whatever the bytes lead it to
        raise UserError(
            f"{path!r} cannot be read as a MATLAB file ({' '.join(str(error).split())}); save it as version 7 or older"
        ) from error
    if missing := [name for name in names if name not in content]:
        raise UserError(
            f"{path!r} has no {' and no '.join(missing)}; a file of piano rolls has {', '.join(names)}"
        )
    for name in names:
        if content[name].dtype != object or content[name].size == 0:
            raise UserError(
                f"{name} in {path!r} is {content[name].dtype} {list(content[name].shape)}, but it must be a cell "
                "array of pieces, each [time, keys]"
            )
    return {name: content[name].ravel() for name in names}


def _piece(path: str, name: str, number: int, piece: np.ndarray) -> np.ndarray:
    """[time, keys] of bool."""
    where = f"piece {number} of {name} in {path!r}"
    if not isinstance(piece, np.ndarray) or piece.ndim != 2 or not piece.shape[1]:
        shape = list(getattr(piece, "shape", ()))
        raise UserError(f"{where} has shape {shape}, but it must be [time, keys]")
    if not np.isin(piece, (0, 1)).all():
        raise UserError(f"{where} has numbers beside 0 and 1, but a key is down or it is not")
    return piece.astype(bool)


def _padded(pieces: list[np.ndarray]) -> Sequences:
    """Frames 0 .. n-2 as inputs, frames 1 .. n-1 as targets."""
    num_steps = max(map(len, pieces)) - 1
    shape = (len(pieces), num_steps, pieces[0].shape[1])
    inputs, targets = np.zeros(shape, np.float32), np.zeros(shape, bool)
    for row, piece in enumerate(pieces):
        inputs[row, : len(piece) - 1] = piece[:-1]
        targets[row, : len(piece) - 1] = piece[1:]
    lengths = np.array([len(piece) - 1 for piece in pieces])
    mask = np.arange(num_steps)[None] < lengths[:, None]
    return Sequences(jnp.asarray(inputs), jnp.asarray(targets), jnp.asarray(mask))
