"""The error that speaks to the person who gave the value, and the checks that raise it most."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Something that the user gave cannot be used.

    The message says the value, the rule it breaks and the remedy, in the
    user's units and on one line; the command line prints it as it stands and
    exits with code 2. Every other exception is a fault of the program.
    """


def require_positive(owner: str = "", /, **sizes: int | float | None) -> None:
    """Refuses sizes below 1, by name; None is a size that is left open.

    Args:
      owner: What they are sizes of, in front of the name.
      **sizes: Each with its name.

    Raises:
      UserError: With the first that is below 1.
    """
    for name, size in sizes.items():
        if size is not None and not size >= 1:
            raise UserError(
                f"{' '.join((owner, name)).strip()} is {size}, but it must be at least 1"
            )


def require_known(what: str, name: str, known: Iterable[str]) -> None:
    """Refuses a name that is not known, and suggests the nearest that is.

    Raises:
      UserError: With the known names.
    """
    known = tuple(known)
    if name not in known:
        raise UserError(f"{what} {name!r} is unknown; {suggestion(name, known)}")


def quoted(text: str) -> str:
    r"""Text between quotes as it was typed: `repr` would double the backslashes of a pattern.

    Example:
      >>> print(quoted(r"_\d[.]wav$"))
      '_\d[.]wav$'
    """
    return f"'{text}'"


def suggestion(name: str, known: Iterable[str]) -> str:
    """The nearest known name to a misspelt one, and the list of them.

    Example:
      >>> suggestion("liner", ["mu_law", "linear"])
      "did you mean 'linear'? known: mu_law, linear"
    """
    known = tuple(known)
    near = difflib.get_close_matches(str(name), known, n=1)
    return (f"did you mean {near[0]!r}? " if near else "") + f"known: {', '.join(known) or 'none'}"
