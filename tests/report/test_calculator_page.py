"""The calculator page as a file: alone, for one stack, and not at all for one that cannot be."""

import re
import subprocess
import sys

import pytest
from calculator import DEFAULTS

from wavedil import UserError
from wavedil.report.calculator_page import write_page


def test_the_file_asks_for_nothing_from_outside(tmp_path):
    write_page(tmp_path / "rf.html", **DEFAULTS)
    page = (tmp_path / "rf.html").read_text()
    assert not re.search(r"https?:|//\w|@import|url\(|src=|<link|<iframe|fetch\(|import\(", page)
    assert "default-src 'none'" in page


def test_the_file_opens_with_the_stack_it_was_written_for(tmp_path):
    stack = {"kernel_size": 7, "dilations": "1:8,3", "cycles": 5, "input_kernel_size": 6}
    write_page(tmp_path / "rf.html", **stack, sample_rate=44100)
    page = (tmp_path / "rf.html").read_text()
    values = dict(re.findall(r'<input id="(\w+)"[^>]* value="([^"]*)"', page))
    assert values == {name: str(value) for name, value in {**stack, "sample_rate": 44100}.items()}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kernel_size": 0}, "kernel size is 0"),
        ({"dilations": "1:7"}, "never meet 7"),
        ({"cycles": 0}, "number of cycles is 0"),
        ({"input_kernel_size": 0}, "input kernel size is 0"),
        ({"sample_rate": 0}, "sample rate is 0"),
        ({"dilations": "1", "cycles": 1001}, "1001 layers is more than the 1000"),
        ({"dilations": str(2**40)}, "longer than the 1073741824"),
    ],
)
def test_a_stack_that_cannot_be_used_writes_nothing(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        write_page(tmp_path / "rf.html", **{**DEFAULTS, **changes})
    assert not any(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_said(tmp_path):
    with pytest.raises(UserError, match="cannot be written"):
        write_page(tmp_path / "none" / "rf.html", **DEFAULTS)


def test_writing_the_page_loads_neither_jax_nor_numpy_nor_matplotlib():
    code = (
        "import sys, wavedil.report.calculator_page; "
        "assert not {'jax', 'numpy', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
