"""Damaged files are read or refused in our words: no other exception, no hang, no memory without bounds."""

import json
import os
import subprocess
import sys

import fuzzing
import pytest


def outcomes(count, seed, *kinds, seconds):
    """What a process finds of the kinds, up to the first that ends it, and what it says to that."""
    done = subprocess.run(
        [sys.executable, fuzzing.__file__, str(count), str(seed), *kinds],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    lines = map(json.loads, done.stdout.splitlines())
    return {found["kind"]: found for found in lines}, done.stderr[-3000:]


@pytest.fixture(scope="module")
def of_all_kinds():
    """One process for all: most of its time is importing."""
    return outcomes(40, 0, *fuzzing.KINDS, seconds=300)


@pytest.mark.parametrize("kind", fuzzing.KINDS)
def test_damaged_files_are_read_or_refused(of_all_kinds, kind):
    found, said = of_all_kinds
    assert kind in found, said
    assert found[kind].get("read", 0) + found[kind]["refused"] == 40


@pytest.mark.long
@pytest.mark.parametrize("kind", fuzzing.KINDS)
def test_ten_thousand_damaged_files_are_read_or_refused(kind):
    found, said = outcomes(10_000, 1, kind, seconds=3600)
    assert kind in found, said
    print(kind, found[kind])
    assert found[kind]["read"] + found[kind]["refused"] == 10_000
