"""Trains by the command line when told to: `python racing.py RECORDINGS`.

Of each line on stdin, the name of a run folder, it prints the exit code and what was said on stderr, as JSON.
"""

import contextlib
import io
import json
import sys

import jax
import training_runs
from command_line import TINY

from wavedil.cli.main import main
from wavedil.training import loop


def race(recordings):
    jax.config.update("jax_disable_most_optimizations", True)
    loop.make_update = training_runs.shared_update  # starts are tested, not compilation
    for line in sys.stdin:
        said = io.StringIO()
        arguments = ["train", recordings, json.loads(line), *TINY]
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            code = main(arguments)
        print(json.dumps([code, said.getvalue().splitlines()]), flush=True)


if __name__ == "__main__":
    race(sys.argv[1])
