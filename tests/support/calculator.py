"""The calculator page in a browser, as tests read and use it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chromium import Browser, browser

from wavedil.report.calculator_page import write_page

DEFAULTS: dict[str, Any] = {
    "kernel_size": 2,
    "dilations": "1:512",
    "cycles": 3,
    "input_kernel_size": 1,
    "sample_rate": 16000,
}


class Calculator:
    """A tab with the page, written for the stack of `DEFAULTS`."""

    def __init__(self, tab: Browser, file: Path) -> None:
        self.tab, self.file = tab, file
        self.evaluate = tab.evaluate

    def open(self, **changes: Any) -> None:
        """Load the page anew, with what differs from its own stack in the address."""
        state = "&".join(f"{name}={value}" for name, value in changes.items())
        self.tab.open(self.file.as_uri() + (f"#{state}" if changes else ""))

    def texts(self, *ids: str) -> list[str]:
        """The text that a person reads at the elements."""
        return [self.evaluate(f"element({name!r}).innerText") for name in ids]

    def message(self, field: str) -> str:
        """The message at a field; the field is marked as wrong exactly where there is one."""
        (words,) = self.texts(f"{field}_message")
        invalid = self.evaluate(f"element({field!r}).getAttribute('aria-invalid')")
        assert (words != "") == (invalid == "true")
        return words

    def is_stale(self) -> bool:
        """Whether the result is marked as that of other values than the fields'."""
        return self.evaluate("document.body.classList.contains('stale')")

    def enter(self, field: str, value: object) -> None:
        """Go to a field and type over what it holds."""
        self.evaluate(f"element({field!r}).focus()")
        self.tab.type(str(value))


@contextlib.contextmanager
def calculator(folder: Path) -> Iterator[Calculator]:
    """The page, written to `folder` and ready to be opened in a browser."""
    write_page(folder / "rf.html", **DEFAULTS)
    with browser(folder / "profile") as tab:
        yield Calculator(tab, folder / "rf.html")
