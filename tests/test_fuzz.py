"""Damaged files are read or refused in our words: no other exception, no hang, no memory without bounds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import fuzzing
import pytest


def outcomes(kind, count, seed, seconds):
    script = Path(fuzzing.__file__)
    done = subprocess.run(
        [sys.executable, script, kind, str(count), str(seed)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("kind", fuzzing.KINDS)
def test_damaged_files_are_read_or_refused(kind):
    found = outcomes(kind, 40, seed=0, seconds=60)
    assert found.get("read", 0) + found["refused"] == 40


@pytest.mark.long
@pytest.mark.parametrize("kind", fuzzing.KINDS)
def test_ten_thousand_damaged_files_are_read_or_refused(kind):
    found = outcomes(kind, 10_000, seed=1, seconds=3600)
    print(kind, found)
    assert found["read"] + found["refused"] == 10_000
