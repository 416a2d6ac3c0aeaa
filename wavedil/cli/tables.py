"""Tables for people to read."""

from collections.abc import Sequence


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows as lines, in columns: names to the left, numbers to the right.

    Example:
      >>> table([("digit", "bits"), ("7", "3.884")])
      ['digit   bits', '7      3.884']
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            text.rjust(width) if index else text.ljust(width)
            for index, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def unit(metric: str) -> str:
    """The unit of a metric as people read it.

    Example:
      >>> unit("bits"), unit("squared_error")
      ('bits per sample', 'squared error')
    """
    return {"bits": "bits per sample", "esr": "ESR"}.get(metric, metric.replace("_", " "))


def number(value: float) -> str:
    """A score as people read it: three decimals, and of a small one two digits.

    Example:
      >>> number(2.3456), number(0.0012345)
      ('2.346', '0.0012')
    """
    return f"{value:.3f}" if abs(value) >= 0.1 or not value else f"{value:.2g}"
