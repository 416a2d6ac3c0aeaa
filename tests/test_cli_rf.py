"""`wavedil rf`: what it prints, and that it starts without JAX."""

import json
import subprocess
import sys

import pytest

from wavedil.cli.rf import Rf, rf
from wavedil.errors import UserError


def printed(capsys, **settings):
    rf(Rf(**settings))
    return capsys.readouterr().out


def test_three_cycles_of_ten_doublings_see_3070_samples(capsys):
    lines = printed(capsys, kernel_size=2, dilations="1:512", cycles=3).splitlines()
    assert lines[0] == "receptive field: 3070 samples, 191.875 ms at 16000 Hz"
    assert lines[1] == "an output sees 3069 samples before its own and 0 after it"
    assert lines[2] == "30 layers, kernel size 2, dilations 1:512, 3 times"
    assert lines[4].split("  ")[0] == "layer"
    assert lines[5].split() == ["1", "2", "1", "+1", "2", "0.125"]
    assert lines[-1].split() == ["30", "2", "512", "+512", "3070", "191.875"]
    assert len(lines) == 5 + 30
    assert len({len(line) for line in lines[4:]}) == 1


def test_an_input_convolution_is_a_layer_of_its_own(capsys):
    lines = printed(capsys, cycles=3, input_kernel_size=2).splitlines()
    assert lines[0].startswith("receptive field: 3071 samples")
    assert lines[5].split() == ["input", "2", "1", "+1", "2", "0.125"]


def test_holes_are_reported_with_a_remedy(capsys):
    text = printed(capsys, kernel_size=3, dilations="2,2,2")
    assert "holes: only 7 of the 13 samples are seen" in text
    assert "holes" not in printed(capsys, kernel_size=3, dilations="1,3,9")


def test_json_is_one_object_with_the_same_numbers(capsys):
    answer = json.loads(
        printed(capsys, kernel_size=3, dilations="1,2", sample_rate=8000, json=True)
    )
    layers = answer.pop("layers")
    assert answer == {
        "size": 7,
        "past": 6,
        "future": 0,
        "num_taps": 7,
        "milliseconds": 0.875,
        "sample_rate": 8000,
    }
    assert [layer["size"] for layer in layers] == [3, 7]
    assert layers[-1] == {
        "name": "2",
        "kernel_size": 3,
        "dilation": 2,
        "size": 7,
        "milliseconds": 0.875,
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kernel_size": 0}, "kernel size is 0, but it must be a whole number of at least 1"),
        ({"dilations": "0,1"}, "dilation is 0"),
        ({"dilations": "one"}, "write 1:512 for 1, 2, 4"),
        ({"cycles": 0}, "number of cycles is 0"),
        ({"input_kernel_size": -1}, "input kernel size is -1"),
        ({"sample_rate": 0}, "sample rate is 0 Hz"),
    ],
)
@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_bad_sizes_are_refused_before_anything_is_printed(capsys, settings, message, as_json):
    with pytest.raises(UserError, match=message):
        rf(Rf(**settings, json=as_json))
    assert capsys.readouterr().out == ""


def test_the_verb_imports_neither_jax_nor_numpy():
    code = "import sys, wavedil.cli.rf; assert not {'jax', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
