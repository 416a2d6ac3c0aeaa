"""Operators: pure functions on arrays."""

from wavedil.ops.convolution import dilated_conv as dilated_conv
from wavedil.ops.gate import GatedWeights as GatedWeights
from wavedil.ops.gate import gated_block as gated_block
from wavedil.ops.gating import Gating as Gating
from wavedil.ops.pitch import pitch_dilated_conv as pitch_dilated_conv
from wavedil.ops.stack import gated_stack as gated_stack
