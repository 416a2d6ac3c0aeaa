"""The receptive-field calculator: a page on which the reader sets a stack and sees its field."""

import html
import os

from wavedil.errors import UserError, require_size
from wavedil.receptive_field import stack_dilations, table
from wavedil.report.html_file import write_html

# That of arithmetic.js, where more would make typing slow.
_MAX_LAYERS = 1000
_SCRIPTS = ("arithmetic.js", "drawing.js", "page.js")


def write_page(
    path: str | os.PathLike[str],
    *,
    kernel_size: int,
    dilations: str,
    cycles: int,
    input_kernel_size: int,
    sample_rate: int,
) -> None:
    """Write the calculator page, opening with this stack.

    The reader of the page sets the stack and sees its field, layers, tree, holes and paths per lag.
    Its numbers are those of `wavedil.receptive_field`: `arithmetic.js` repeats that arithmetic in
    exact integers. The values live in the address after `#`, so that a link holds a stack.

    Args:
      path: HTML file to write.
      kernel_size: Taps of every dilated layer.
      dilations: The short form that `parse_dilations` reads.
      cycles: How often the dilations are repeated.
      input_kernel_size: Taps of an undilated convolution before the stack; 1 for none.
      sample_rate: Hz, a whole number.

    Raises:
      UserError: If a value cannot be used, or the file cannot be written.

    Example:
      write_page("rf.html", kernel_size=2, dilations="1:512", cycles=3, input_kernel_size=1, sample_rate=16000)
    """
    require_size("sample rate", sample_rate)
    layers = stack_dilations(dilations, cycles)
    if len(layers) > _MAX_LAYERS:
        raise UserError(
            f"a stack of {len(layers)} layers is more than the {_MAX_LAYERS} that this page draws; "
            "use fewer cycles or dilations"
        )
    table(kernel_size, layers, input_kernel_size=input_kernel_size)
    write_html(
        path,
        "calculator",
        title="Receptive field of dilated convolutions",
        scripts=_SCRIPTS,
        kernel_size=str(kernel_size),
        dilations=html.escape(dilations),
        cycles=str(cycles),
        input_kernel_size=str(input_kernel_size),
        sample_rate=str(sample_rate),
    )
