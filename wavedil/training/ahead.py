"""Batches made while the steps before them are computed."""

import collections
import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Made = TypeVar("_Made")
# One that is wanted next, and one for when it takes longer than a step.
_AHEAD = 2


@contextlib.contextmanager
def ahead(make: Callable[[int], _Made], steps: range) -> Iterator[Iterator[_Made]]:
    """`make(step)` of each step in turn, made by a thread a little ahead of their use.

    Example:
      with ahead(windows.batch, range(100)) as batches:
          for batch in batches:
              ...
    """
    with ThreadPoolExecutor(1, "batches") as thread:

        def made() -> Iterator[_Made]:
            waiting: collections.deque[Future[_Made]] = collections.deque()
            for step in steps:
                waiting.append(thread.submit(make, step))
                if len(waiting) > _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

        try:
            yield made()
        finally:
            thread.shutdown(cancel_futures=True)
