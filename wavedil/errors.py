"""The error that speaks to the person who gave the value, and the checks that raise it most."""

import difflib
import operator
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    Size = int
    Sizes = Iterable[int]
else:
    # At run time also NumPy's integers, and arrays; `require_size` refuses the rest, in words that say what to do.
    Size = Sizes = Any


class UserError(ValueError):
    """Something that the user gave cannot be used.

    The message says the value, the rule it breaks and the remedy, in the
    user's units and on one line; the command line prints it as it stands and
    exits with code 2. Every other exception is a fault of the program.
    """


def require_whole(name: str, value: Any, *, least: int | None = None) -> int:
    """A whole number as a Python integer: of Python's, of NumPy's, or of an array of one integer without axes.

    Args:
      name: What it is, for people.
      value: The number.
      least: The smallest that it may be.

    Raises:
      UserError: If it is none, as True, 2.0 and "2" are none, or too small.

    Example:
      >>> require_whole("past", np.int64(2))
      2
    """
    number = whole_number(value)
    if number is None or (least is not None and number < least):
        rule = "a whole number" + ("" if least is None else f" of at least {least}")
        remedy = _nearest(value, least) if number is None else ""
        raise UserError(f"{name} is {value!r}, but it must be {rule}{remedy}")
    return number


def require_size(name: str, size: Any) -> int:
    """A whole number of at least 1; see `require_whole`."""
    return require_whole(name, size, least=1)


def require_sizes(name: str, sizes: Any) -> tuple[int, ...]:
    """Several sizes, each as `require_size` gives it: of a list, a tuple or an array with one axis.

    Raises:
      UserError: By `require_size`, or if they are no such list.

    Example:
      >>> require_sizes("dilation", np.array([1, 2]))
      (1, 2)
    """
    listed = isinstance(sizes, Iterable) and not isinstance(sizes, str | bytes | Mapping)
    if not listed or getattr(sizes, "ndim", 1) != 1:
        raise UserError(f"{name} is {sizes!r}, but it must be a list of sizes; use [1, 2, 4], say")
    return tuple(require_size(name, size) for size in sizes)


def require_positive(owner: str = "", /, **sizes: Any) -> tuple[Any, ...]:
    """Sizes by name, each as `require_size` gives it; None is a size that is left open.

    Args:
      owner: What they are sizes of, in front of the name.
      **sizes: Each with its name.

    Raises:
      UserError: By `require_size`, with the first that is none.
    """
    return tuple(
        None if size is None else require_size(f"{owner} {name}".strip(), size)
        for name, size in sizes.items()
    )


def require_bool(name: str, value: Any) -> bool:
    """True or False, of Python's or of an array of one without axes.

    Args:
      name: What it is, for people.
      value: The boolean.

    Raises:
      UserError: If it is none, as "no" and 0 are none.

    Example:
      >>> require_bool("use_bias", np.bool_(True))
      True
    """
    if str(getattr(value, "dtype", "")) == "bool" and value.shape == ():
        return bool(value)
    if not isinstance(value, bool):
        raise UserError(f"{name} is {value!r}, but it must be true or false")
    return value


def require_rate(rate: Any, name: str = "dropout") -> float:
    """A rate of dropout.

    Args:
      rate: The rate.
      name: What it is, for people.

    Raises:
      UserError: If it is no number from 0 to below 1.
    """
    if isinstance(rate, bool) or not isinstance(rate, Real) or not 0 <= float(rate) < 1:
        raise UserError(f"{name} is {rate!r}, but it must be a share from 0 to below 1; use 0.1")
    return float(rate)


def whole_number(value: Any) -> int | None:
    """A whole number as a Python integer, of NumPy's and of arrays without axes too; None of everything else."""
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def _nearest(value: Any, least: int | None) -> str:
    try:
        nearest = round(float(value)) if isinstance(value, Real | str) else None
    except (ValueError, OverflowError):
        nearest = None
    if nearest is None or (least is not None and nearest < least):
        return ""
    return f"; use {nearest}"


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


def with_article(name: str) -> str:
    """A name with "a" or "an" before it, by its first letter.

    Example:
      >>> with_article("AmpModel")
      'an AmpModel'
    """
    return f"{'an' if name[:1].lower() in set('aeiou') else 'a'} {name}"


def suggestion(name: str, known: Iterable[str]) -> str:
    """The nearest known name to a misspelt one, and the list of them.

    Example:
      >>> suggestion("liner", ["mu_law", "linear"])
      "did you mean 'linear'? known: mu_law, linear"
    """
    known = tuple(known)
    near = difflib.get_close_matches(str(name).lower(), known, n=1)
    return (f"did you mean {near[0]!r}? " if near else "") + f"known: {', '.join(known) or 'none'}"
