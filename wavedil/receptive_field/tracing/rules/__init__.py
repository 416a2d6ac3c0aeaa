"""The rules: which elements each primitive of JAX reads, one file for each family.

`loops` has the rules of scan and while. All trips at once are `trips`, which solves the equation of the carry by
`fixpoint`, and carries arrays that trips write to as lines: `in_place`, `line` and `access`.
"""

from wavedil.receptive_field.tracing.interpreter import Rule
from wavedil.receptive_field.tracing.jax_internals import CALLS
from wavedil.receptive_field.tracing.rules import (
    control,
    devices,
    elementwise,
    fourier,
    gathering,
    loops,
    reduction,
    scattering,
    shape,
    windows,
)

# Primitives whose rules look at the numbers that are known of a value, or between which it lies.
LOOKING_AT_KNOWN = {
    *CALLS,
    *elementwise.RULES,
    *"broadcast_in_dim dot_general reshape select_n slice squeeze transpose".split(),
    *"reduce_sum reduce_max reduce_min reduce_prod reduce_and reduce_or argmax argmin".split(),
} - {"optimization_barrier"}

RULES: dict[str, Rule] = {
    **elementwise.RULES,
    **shape.RULES,
    **fourier.RULES,
    **windows.RULES,
    **reduction.RULES,
    **gathering.RULES,
    **scattering.RULES,
    **control.RULES,
    **devices.RULES,
    **loops.RULES,
}
