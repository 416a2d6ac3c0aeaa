"""Operators: pure functions on arrays."""

from wavedil.ops.dilated_conv import dilated_conv as dilated_conv
from wavedil.ops.gated_block import GatedWeights as GatedWeights
from wavedil.ops.gated_block import gated_block as gated_block
from wavedil.ops.gated_stack import gated_stack as gated_stack
