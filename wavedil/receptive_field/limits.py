"""Sizes that no receptive field is worked out for, because they would fill the memory."""

import math
from collections.abc import Sequence

from wavedil.errors import UserError

# Bits cost memory: 2**30 of them take 128 MiB and span 18 hours at 16 kHz.
_MAX_SPAN = 2**30
MAX_LAYERS = 10_000
# Known arrays of more elements are not computed: 16 million, as the indices of a minute at 16 kHz in frames of 1024
# every 160 are.
MAX_ELEMENTS = 2**24


class TooLargeError(Exception):
    """A known array has more elements than are computed."""


def require_span(num_samples: int) -> None:
    """Raises UserError for a set that spans more samples than are worked out."""
    if num_samples > _MAX_SPAN:
        raise UserError(
            f"a receptive field of {num_samples} samples is longer than the {_MAX_SPAN} "
            "that are worked out exactly; use smaller dilations, kernels or strides"
        )


def require_layers(num_layers: int) -> None:
    """Raises UserError for more layers than are worked out one by one."""
    if num_layers > MAX_LAYERS:
        raise UserError(
            f"the stack has {num_layers} layers, more than the {MAX_LAYERS} that are worked out one by one; "
            "use fewer cycles"
        )


def is_small(shape: Sequence[int]) -> bool:
    """Whether a known array of this shape is computed."""
    return math.prod(shape) <= MAX_ELEMENTS


def require_small(shape: Sequence[int]) -> None:
    """Raises TooLargeError for a known array that is not computed."""
    if not is_small(shape):
        raise TooLargeError
