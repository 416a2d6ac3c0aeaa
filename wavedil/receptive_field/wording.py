"""Numbers of samples in words, for answers and errors."""


def samples_text(count: int) -> str:
    """`1 sample`, `2 samples`."""
    return f"{count} sample{'s' * (count != 1)}"
