"""Trains by the command line when told to: `python racing.py RECORDINGS`.

Of a line on stdin, the name of a run folder, it prints the exit code and what was said on stderr, as JSON; and before
that, if it comes to train, null, and waits for another line: others that want to train in the folder meet it there.
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


def waiting_update(config):
    update = training_runs.shared_update(config)  # starts are tested, not compilation

    def wait_first(state, batch):
        if int(state.step) == 0:
            print("null", file=sys.__stdout__, flush=True)
            sys.stdin.readline()
        return update(state, batch)

    return wait_first


def race(recordings):
    jax.config.update("jax_disable_most_optimizations", True)
    loop.make_update = waiting_update
    for line in sys.stdin:
        said = io.StringIO()
        arguments = ["train", recordings, json.loads(line), *TINY]
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            code = main(arguments)
        print(json.dumps([code, said.getvalue().splitlines()]), flush=True)


if __name__ == "__main__":
    race(sys.argv[1])
