"""Where in the user's program an equation comes from."""

import sysconfig
from pathlib import Path
from typing import Any

import jax

from wavedil.receptive_field.tracing.jax_internals import traceback

_LIBRARIES = tuple(
    str(path)
    for path in (
        Path(jax.__file__).parent,
        sysconfig.get_paths()["purelib"],
        sysconfig.get_paths()["stdlib"],
        Path(__file__).parent,
    )
)


def source_line(eqn: Any) -> str:
    """` (file.py:12, in encoder)` for the innermost line of the user's own, or nothing."""
    frame, found = traceback(eqn), ""
    while frame is not None:
        code = frame.tb_frame.f_code
        if not code.co_filename.startswith(_LIBRARIES):
            found = f" ({code.co_filename}:{frame.tb_lineno}, in {code.co_name})"
        frame = frame.tb_next
    return found
