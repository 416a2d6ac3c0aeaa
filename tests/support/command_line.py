"""The command line in tests: a tiny model's options, and what a user's mistake prints."""

from wavedil.cli.main import main

TINY = [
    "--model.dilations=1:8", "--model.cycles=1", "--model.residual-channels=8", "--model.skip-channels=8",
    "--training.steps=4", "--training.batch-size=1", "--training.window-size=256",
    "--training.evaluate-seconds=0.2", "--training.log-every=2",
]  # fmt: skip


def mistake(capsys, *arguments):
    """The output of a user's mistake: a single line on stderr, nothing on stdout, exit code 2."""
    code = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert code == 2
    assert out == ""
    lines = [line for line in err.splitlines() if not line.startswith("reading")]
    assert len(lines) == 1, err
    assert lines[0].startswith("wavedil: error: ")
    return lines[0].removeprefix("wavedil: error: ")
