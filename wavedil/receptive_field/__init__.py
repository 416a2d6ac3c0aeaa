"""How far a layer looks: receptive fields by arithmetic, without JAX.

`ReceptiveField` composes the fields of layers, `table` lists a stack of
dilated convolutions layer by layer, and `parse_dilations` reads the short
form of a list of dilations that people type.
"""

from wavedil.receptive_field.arithmetic import Padding as Padding
from wavedil.receptive_field.arithmetic import ReceptiveField as ReceptiveField
from wavedil.receptive_field.stack import LayerRow as LayerRow
from wavedil.receptive_field.stack import format_dilations as format_dilations
from wavedil.receptive_field.stack import parse_dilations as parse_dilations
from wavedil.receptive_field.stack import stack_dilations as stack_dilations
from wavedil.receptive_field.stack import table as table
