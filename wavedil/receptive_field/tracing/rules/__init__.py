"""The rules: which elements each primitive of JAX reads, one file for each family."""

from wavedil.receptive_field.tracing.interpreter import Rule
from wavedil.receptive_field.tracing.rules import (
    control,
    elementwise,
    gathering,
    loops,
    reduction,
    scattering,
    shape,
    windows,
)

RULES: dict[str, Rule] = {
    **elementwise.RULES,
    **shape.RULES,
    **windows.RULES,
    **reduction.RULES,
    **gathering.RULES,
    **scattering.RULES,
    **control.RULES,
    **loops.RULES,
}
