"""A stack of gated residual blocks by its sizes alone: its field, its cost, and how evenly it sees."""

import functools
from dataclasses import dataclass
from fractions import Fraction

from wavedil.errors import require_size, require_sizes
from wavedil.receptive_field.arithmetic import ReceptiveField
from wavedil.receptive_field.limits import require_layers
from wavedil.receptive_field.paths import evenness, paths_per_lag
from wavedil.receptive_field.stack import format_dilations, layer_sizes, table

_FLOAT_BYTES = 4


@dataclass(frozen=True, kw_only=True)
class Design:
    """A stack of gated residual blocks, as `wavedil.nn.DilatedStack` builds it, and what it costs.

    With kernel size k, L layers, input kernel size k_in, R residual and S skip channels:

        size          k_in + (k - 1) sum of dilations
        parameters    L (2 k R^2 + 2 R + R^2 + R) + (L R S + S)       gated convolution, residual 1x1, skip 1x1
        multiply_adds L (2 k R^2 + R^2 + R S)                         for one sample
        state_bytes   4 R (size - 1)                                  float32 rings, one signal

    and for an input convolution (k_in above 1) of R to R channels k_in R^2 + R parameters and k_in R^2
    multiply-adds more. Embedding and head are the same for all designs, and not counted.

    Attributes:
      kernel_size: Taps of every dilated layer.
      dilations: Samples between taps, layer by layer in one cycle.
      cycles: How often the dilations are repeated.
      input_kernel_size: Taps of an undilated convolution before the stack; 1 for none.
      residual_channels: Channels of the signal and of the gates.
      skip_channels: Channels of the skip sum.

    Raises:
      UserError: If a size is below 1 or there is no dilation.

    Example:
      >>> Design(kernel_size=2, dilations=(1, 2, 4, 8), cycles=2).size
      31

    Reference: van den Oord et al. 2016, arXiv:1609.03499; the rings are those of Le Paine et al. 2016,
    arXiv:1611.09482.
    """

    kernel_size: int
    dilations: tuple[int, ...]
    cycles: int = 1
    input_kernel_size: int = 1
    residual_channels: int = 64
    skip_channels: int = 256

    def __post_init__(self) -> None:
        sizes = {
            "kernel_size": require_size("kernel size", self.kernel_size),
            "dilations": require_sizes("dilation", self.dilations),
            "cycles": require_size("number of cycles", self.cycles),
            "input_kernel_size": require_size("input kernel size", self.input_kernel_size),
            "residual_channels": require_size(
                "number of residual channels", self.residual_channels
            ),
            "skip_channels": require_size("number of skip channels", self.skip_channels),
        }
        # The instance is frozen; of NumPy's integers, which overflow in sums, it keeps Python's.
        for name, size in sizes.items():
            object.__setattr__(self, name, size)
        require_layers(self.num_layers)
        layer_sizes(self.kernel_size, self.dilations, input_kernel_size=self.input_kernel_size)

    @property
    def layer_dilations(self) -> tuple[int, ...]:
        """The dilation of every layer."""
        return self.dilations * self.cycles

    @property
    def num_layers(self) -> int:
        """Layers of the stack, without the input convolution."""
        return len(self.dilations) * self.cycles

    @property
    def size(self) -> int:
        """Samples from the first to the last one seen."""
        return self.input_kernel_size + (self.kernel_size - 1) * self.cycles * sum(self.dilations)

    @property
    def receptive_field(self) -> ReceptiveField:
        """The field of the stack, with its exact taps."""
        rows = table(
            self.kernel_size, self.layer_dilations, input_kernel_size=self.input_kernel_size
        )
        return rows[-1].receptive_field

    @property
    def parameters(self) -> int:
        """Trained numbers: the weights, each used once a sample, and the biases."""
        # 2 R for the gated convolution and R for the residual 1x1 of every layer, S for the skip sum.
        biases = self.num_layers * 3 * self.residual_channels + self.skip_channels
        if self.input_kernel_size > 1:
            biases += self.residual_channels
        return self.multiply_adds + biases

    @property
    def multiply_adds(self) -> int:
        """Multiplications with their additions for one sample."""
        channels = self.residual_channels
        layer = 2 * self.kernel_size * channels**2 + channels**2 + channels * self.skip_channels
        entry = self.input_kernel_size * channels**2 if self.input_kernel_size > 1 else 0
        return entry + self.num_layers * layer

    @property
    def state_bytes(self) -> int:
        """Memory of the past samples that generation keeps for one signal."""
        return _FLOAT_BYTES * self.residual_channels * (self.size - 1)

    @property
    def has_holes(self) -> bool:
        """Whether a lag inside the field is reached by no path, by the rule in `holes`."""
        reach = self.input_kernel_size
        # The layers so far reach every lag below `reach`. One more of dilation d repeats these lags at
        # d, 2 d ...: without a gap unless d is above `reach`. The order of layers does not matter.
        for dilation in sorted(self.layer_dilations):
            if dilation > reach and self.kernel_size > 1:
                return True
            reach += (self.kernel_size - 1) * dilation
        return False

    @property
    def num_holes(self) -> int:
        """Lags inside the field that no path reaches."""
        return self.size - self.receptive_field.num_taps if self.has_holes else 0

    @functools.cached_property
    def evenness(self) -> Fraction:
        """How evenly the paths are spread over the lags, above 0 to 1 (`wavedil.receptive_field.paths.evenness`).

        Raises:
          UserError: If there are too many lags to count their paths.
        """
        return evenness(
            paths_per_lag(
                self.kernel_size, self.layer_dilations, input_kernel_size=self.input_kernel_size
            )
        )

    def __str__(self) -> str:
        repeated = f", {self.cycles} times" if self.cycles > 1 else ""
        entry = (
            f", input kernel size {self.input_kernel_size}" if self.input_kernel_size > 1 else ""
        )
        dilations = format_dilations(self.dilations)
        return f"kernel size {self.kernel_size}, dilations {dilations}{repeated}{entry}"
