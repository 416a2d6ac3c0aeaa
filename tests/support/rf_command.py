"""`wavedil rf` in tests: what it prints, and what a user's mistake prints."""

import json

from wavedil.cli.main import main
from wavedil.models import WaveNetConfig

CONFIG = WaveNetConfig.tiny(kernel_size=3, sample_rate=8000, residual_channels=4, skip_channels=4)


def printed(capsys, *arguments):
    code = main(["rf", *map(str, arguments)])
    out, err = capsys.readouterr()
    assert (code, err) == (0, "")
    return out


def values(capsys, *arguments):
    return json.loads(printed(capsys, *arguments, "--json"))


def mistake(capsys, *arguments):
    """The output of a user's mistake: a single line on stderr, nothing on stdout, exit code 2."""
    code = main(["rf", *map(str, arguments)])
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    return err.removeprefix("wavedil: error: ")
