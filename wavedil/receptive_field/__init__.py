"""How far a layer looks: receptive fields by arithmetic, by tracing and by measurement.

`ReceptiveField` composes the fields of layers, `table` lists a stack of
dilated convolutions layer by layer, `design` finds the stacks that reach a
target, and `parse_dilations` reads the short form of a list of dilations that
people type. `trace` and `probe` find the field of any JAX function; they load
JAX when they are first used, the arithmetic does without it.
"""

import importlib
from typing import TYPE_CHECKING, Any

from wavedil.receptive_field.arithmetic import Padding as Padding
from wavedil.receptive_field.arithmetic import ReceptiveField as ReceptiveField
from wavedil.receptive_field.designed_stack import Design as Design
from wavedil.receptive_field.paths import evenness as evenness
from wavedil.receptive_field.paths import holes as holes
from wavedil.receptive_field.paths import paths_per_lag as paths_per_lag
from wavedil.receptive_field.search import design as design
from wavedil.receptive_field.search import target_samples as target_samples
from wavedil.receptive_field.stack import LayerRow as LayerRow
from wavedil.receptive_field.stack import format_dilations as format_dilations
from wavedil.receptive_field.stack import layer_sizes as layer_sizes
from wavedil.receptive_field.stack import parse_dilations as parse_dilations
from wavedil.receptive_field.stack import pitch_lags as pitch_lags
from wavedil.receptive_field.stack import stack_dilations as stack_dilations
from wavedil.receptive_field.stack import table as table
from wavedil.receptive_field.tree import draw_frames as draw_frames
from wavedil.receptive_field.tree import draw_tree as draw_tree
from wavedil.receptive_field.tree import seen_lags as seen_lags
from wavedil.receptive_field.wording import samples_text as samples_text

if TYPE_CHECKING:
    from wavedil.receptive_field.effective_field import EffectiveField as EffectiveField
    from wavedil.receptive_field.effective_field import effective as effective
    from wavedil.receptive_field.probing import ProbedField as ProbedField
    from wavedil.receptive_field.probing import check_causal as check_causal
    from wavedil.receptive_field.probing import probe as probe
    from wavedil.receptive_field.tracing import TracedField as TracedField
    from wavedil.receptive_field.tracing import trace as trace

# Names that need JAX, and the module that each is in.
_LAZY = {
    "EffectiveField": "effective_field",
    "ProbedField": "probing",
    "TracedField": "tracing",
    "check_causal": "probing",
    "effective": "effective_field",
    "probe": "probing",
    "trace": "tracing",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'wavedil.receptive_field' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"wavedil.receptive_field.{_LAZY[name]}"), name)
    globals()[name] = value  # so that this runs once for each name
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
