"""Pages as one HTML file that needs nothing else: no network, no build, no Python."""

import html
import importlib.resources
from pathlib import Path
from string import Template

from wavedil.errors import UserError
from wavedil.files import replacing, unwritable
from wavedil.report.figures import FilePath


def write_html(
    path: FilePath,
    page: str,
    *,
    title: str,
    scripts: tuple[str, ...] = ("page.js",),
    embedded: tuple[str, ...] = (),
    **values: str,
) -> None:
    """Write a page; the look of all of them is frame.html and frame.css.

    Args:
      path: HTML file to write.
      page: The folder beside this file with the page's own body, page.html, its style, page.css, and its scripts.
      title: In plain text.
      scripts: Files of the folder, in their order.
      embedded: What else the page may show, where it lies in the page itself: "img", "media".
      **values: HTML for the places `$name` of page.html, besides `$title`.

    Raises:
      UserError: If the file cannot be written.
    """
    folder = importlib.resources.files("wavedil.report")

    def read(name: str) -> str:
        return (folder / name).read_text(encoding="utf-8")

    title = html.escape(title)
    content = Template(read("frame.html")).substitute(
        title=title,
        sources="".join(f"; {kind}-src data:" for kind in embedded),
        style=read("frame.css") + read(f"{page}/page.css"),
        body=Template(read(f"{page}/page.html")).substitute(title=title, **values),
        script="\n".join(read(f"{page}/{name}") for name in scripts),
    )
    try:
        with replacing(Path(path)) as scratch:
            # Some bytes of a file's name may be no characters.
            scratch.write_bytes(content.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise UserError(f"{path} {unwritable(error)}") from None
