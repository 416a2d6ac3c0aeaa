"""Sizes that no receptive field is worked out for, because they would fill the memory."""

from wavedil.errors import UserError

# Bits cost memory: 2**30 of them take 128 MiB and span 18 hours at 16 kHz.
_MAX_SPAN = 2**30
MAX_LAYERS = 10_000


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
