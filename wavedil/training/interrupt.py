"""A request to stop: Ctrl-C or SIGTERM, noticed between steps and while recordings are scored."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any, Self


class StoppedError(Exception):
    """Work that loses nothing by it was given up, because the process was asked to stop."""


class StopSignal:
    """While entered, SIGINT and SIGTERM are noted in `received` instead of ending the process.

    Outside the main thread, where Python takes no signals, nothing is changed.
    """

    def __init__(self) -> None:
        self.received: str | None = None
        self._interruptible = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def check(self, done: int = 0, total: int = 0) -> None:
        """Raises StoppedError once a signal has come; serves as the progress of work that may be given up."""
        if self.received is not None:
            raise StoppedError

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Inside, work may be given up: at its next `check`, or wherever it is at a second Ctrl-C."""
        self._interruptible = True
        try:
            with contextlib.suppress(StoppedError):
                yield
        finally:
            self._interruptible = False

    def _note(self, number: int, frame: FrameType | None) -> None:
        again = self.received is not None
        self.received = self.received or signal.Signals(number).name
        if again and self._interruptible:
            self._interruptible = False
            raise StoppedError
