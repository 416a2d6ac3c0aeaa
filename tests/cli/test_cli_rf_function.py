"""`wavedil rf mypackage.model:apply`: fields of any function or module, traced and probed."""

import sys

import pytest
from rf_command import mistake, printed, values

from wavedil.cli.main import main


@pytest.fixture
def functions(tmp_path, monkeypatch):
    """A module of one's own in the folder where one is."""
    name = "functions_to_trace"
    (tmp_path / f"{name}.py").write_text(
        "import jax.numpy as jnp\n"
        "def smooth(x):\n"
        "    return x + jnp.pad(x, ((0, 0), (5, 0), (0, 0)))[:, :-5]\n"
        "def ahead(x):\n"
        "    return jnp.roll(x, -1, axis=1)\n"
        "def embedded(codes):\n"
        "    return smooth(jnp.arange(256.0).reshape(256, 1)[codes])\n"
        "class Scaled:\n"
        "    def __call__(self, x):\n"
        "        return jnp.cumsum(2 * x, axis=0)\n"
        "scaled = Scaled()\n"
        "def broken(x):\n"
        "    raise RuntimeError('no power\\nat all')\n"
        "def misspelt(x):\n"
        "    return x.foo\n"
        "def missing(x):\n"
        "    return {}['weights']\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, name, raising=False)
    return name


def test_a_function_of_ones_own_is_traced_and_probed(capsys, functions):
    out = printed(capsys, f"{functions}:smooth", "--input", "1,64,1", "--probe")
    assert "traced: output t sees inputs t - 5 .. t: 2 of 6 samples, causal" in out
    assert "they agree" in out
    answer = values(capsys, f"{functions}:smooth", "--input", "1,64,1", "--sample-rate", 1000)
    assert answer["traced"]["size"] == answer["traced"]["milliseconds"] == 6
    assert answer["causal"] and answer["exact"] and answer["upper_bounds"] == []


@pytest.mark.parametrize("dtype", ["int32", "uint8"])
def test_a_function_of_codes_is_traced_and_probed_with_the_type_of_its_input(
    capsys, functions, dtype
):
    call = (f"{functions}:embedded", "--input", "1,64", "--dtype", dtype)
    answer = values(capsys, *call, "--probe")
    assert answer["traced"]["past"] == answer["probed"]["past"] == 5
    assert answer["agree"]


def test_a_field_without_an_end_is_said_of_any_object_that_can_be_called(capsys, functions):
    answer = values(capsys, f"{functions}:scaled", "--input", "32,1", "--time-axis", 0)
    assert answer["traced"] is None and answer["causal"]


def test_what_a_functions_outputs_see_is_drawn(capsys, functions, tmp_path):
    picture = tmp_path / "seen.svg"
    printed(capsys, f"{functions}:smooth", "--input", "1,64,1", "--picture", picture)
    assert picture.read_text().startswith("<?xml")


def test_a_fault_of_the_tracer_is_not_said_to_be_the_functions(capsys, functions, monkeypatch):
    def fault(*args, **settings):
        raise ValueError("axes don't match array")

    monkeypatch.setattr("wavedil.receptive_field.trace", fault)
    with pytest.raises(ValueError, match="axes don't match"):
        main(["rf", f"{functions}:smooth", "--input", "1,64,1"])


def test_causality_is_an_exit_code(capsys, functions):
    assert main(["rf", f"{functions}:smooth", "--input", "1,64,1", "--check-causal"]) == 0
    assert main(["rf", f"{functions}:ahead", "--input", "1,64,1", "--check-causal"]) == 1
    assert "not causal" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{}:smooth"], "needs --input"),
        (["{}", "--input", "1,64,1"], "a colon"),
        (["{}:nothing", "--input", "1,64,1"], "has no nothing"),
        (["{}:Scaled", "--input", "1,64,1"], "is a class"),
        (["{}_of_no_name:smooth", "--input", "1,64,1"], "cannot import"),
        (["{}:smooth", "--input", "1x64"], "is no shape"),
        (["{}:smooth", "--input", "1,64,1", "--dtype", "int31"], "'int31' is no type of numbers"),
        (["{}:smooth", "--input", "1,64,1", "--dtype", "float64"], "give one of bool, int8"),
        (["{}:smooth", "--input", "1,64,1", "--dtype", ""], "is no type of numbers"),
        (["{}:embedded", "--input", "1,64"], "does not take float32 of shape (1, 64): "),
        (["{}:broken", "--input", "1,64,1"], "(1, 64, 1): RuntimeError: no power;"),
        (["{}:misspelt", "--input", "1,64,1"], "AttributeError: "),
        (["{}:missing", "--input", "1,64,1"], "KeyError: 'weights'"),
        (["{}:smooth", "--input", "1,-3,1"], "every size at least 1"),
        (["{}:smooth", "--input", "0,64,1"], "every size at least 1"),
        (["--dtype", "int32"], "is for a function"),
        (["{}:smooth", "--input", "1,64,1", "--kernel-size", "2"], "is what a function says"),
        (["{}:smooth", "--input", "1,64,1", "--tree"], "draws a stack"),
        (["--probe"], "is for a function"),
        (["--time-axis", "0"], "is for a function"),
    ],
)
def test_functions_that_cannot_be_traced_are_refused(capsys, functions, arguments, words):
    assert words in mistake(capsys, *(part.format(functions) for part in arguments))
