"""Checks that need several devices: functions of a program that is run in a process of its own, with four."""

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping

import jax
import pytest


def what_went_wrong(
    program: str, request: pytest.FixtureRequest, **settings: str
) -> dict[str, str]:
    """By check, or "": of the checks that the module's selected tests are parametrized by, all in one process."""
    parameters = (
        item.callspec.params
        for item in request.session.items
        if item.module is request.module and hasattr(item, "callspec")
    )
    asked = sorted({given["check"] for given in parameters if "check" in given})
    settings |= {"JAX_NUM_CPU_DEVICES": "4", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    ended = subprocess.run(
        [sys.executable, "-W", "error", program, *asked],
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(ended.stdout)


def main(checks: Mapping[str, Callable[[], None]]) -> None:
    """The program: prints, as JSON, what went wrong in those of the checks that its arguments name."""
    assert len(jax.devices()) == 4
    json.dump({name: _wrong(checks[name]) for name in sys.argv[1:]}, sys.stdout)


def _wrong(check: Callable[[], None]) -> str:
    try:
        check()
    except Exception:
        return traceback.format_exc()
    return ""
