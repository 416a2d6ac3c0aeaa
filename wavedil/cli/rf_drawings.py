"""What `wavedil rf` draws of an answer: the tree in the terminal, and the files."""

import shutil
import sys
from pathlib import Path

from wavedil.cli.rf_answers import Answer
from wavedil.receptive_field import Design, draw_frames, draw_tree, format_dilations


def tree(stack: Design, answer: Answer) -> str:
    """The paths that reach one output, and what conditions it; plain where the terminal knows no more."""
    text = _tree(stack, answer, ascii_only=False)
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return _tree(stack, answer, ascii_only=True)
    return text


def _tree(stack: Design, answer: Answer, *, ascii_only: bool) -> str:
    width = shutil.get_terminal_size().columns

    def drawn(of: Design) -> str:
        dilations, entry = of.layer_dilations, of.input_kernel_size
        return draw_tree(
            of.kernel_size, dilations, input_kernel_size=entry, width=width, ascii_only=ascii_only
        )

    parts = [drawn(stack)]
    if answer.context is not None:
        step = answer.context.factor
        parts.append(f"context stack, in steps of {step} samples:\n{drawn(answer.context.stack)}")
    if answer.frames is not None:
        name, hop, field = answer.frames
        row = draw_frames(name, field.taps, width=width, ascii_only=ascii_only)
        parts.append(f"{name}, a frame every {hop} samples; frame 0 is the output's own:\n{row}")
    return "\n\n".join(parts)


def write_files(
    answer: Answer, *, picture: Path | None, page: Path | None, source: Path | None
) -> list[str]:
    """Writes the picture and the page; a line on each."""
    stack, notes = answer.stack, []
    if picture is not None and stack is not None:
        from wavedil.report.receptive_field_pictures import draw_stack

        draw_stack(
            stack,
            picture,
            sample_rate=answer.sample_rate,
            context=answer.context,
            frames=answer.frames,
        )
        notes.append(f"{picture}: picture of {stack}")
    elif picture is not None and answer.traced is not None:
        from wavedil.report.traced_field_picture import draw_traced_field

        draw_traced_field(answer.traced, picture, title=str(source))
        notes.append(f"{picture}: picture of what outputs see")
    if page is not None and stack is not None:
        from wavedil.report.calculator_page import write_page

        write_page(
            page,
            kernel_size=stack.kernel_size,
            dilations=format_dilations(stack.dilations),
            cycles=stack.cycles,
            input_kernel_size=stack.input_kernel_size,
            sample_rate=answer.sample_rate,
        )
        notes.append(f"{page}: calculator that opens with {stack}")
    return notes
