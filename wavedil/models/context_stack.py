"""Settings of a context stack: a second stack, at a lower rate, that conditions the first on what was long ago."""

import dataclasses

from wavedil.config import Config
from wavedil.errors import UserError, require_positive
from wavedil.receptive_field import Design, ReceptiveField


@dataclasses.dataclass(frozen=True, kw_only=True)
class ContextStackConfig(Config):
    """Settings of a context stack (`wavedil.nn.ContextStack`; arXiv:1609.03499, section 2.6).

    It runs once every `factor` samples and sees `factor (1 + (k - 1) sum of dilations) + factor - 1` of them.

    Example:
      >>> far = ContextStackConfig(factor=64, dilations=(1, 2, 4, 8))
      >>> WaveNetConfig(cycles=1, context_stack=far).receptive_field.size  # far, and what the near stack adds
      2109
    """

    factor: int
    """Samples that it takes in at once, and for which each of its outputs is held."""
    channels: int = 32
    """Channels of its blocks; few are usual for a stack that sees far."""
    kernel_size: int = 2
    """Taps of its blocks."""
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    """Steps of `factor` samples between taps, block by block in one cycle."""
    cycles: int = 1
    """How often the dilations are repeated."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(
            "context_stack",
            factor=self.factor,
            channels=self.channels,
            kernel_size=self.kernel_size,
            cycles=self.cycles,
        )
        if not self.dilations:
            raise UserError(
                "context_stack dilations is empty; give at least one, such as 1:32 or 1,2,4"
            )
        require_positive("context_stack", dilation=min(self.dilations))

    @property
    def layer_dilations(self) -> tuple[int, ...]:
        """The dilation of every block, in steps of `factor` samples."""
        return self.dilations * self.cycles

    @property
    def stack(self) -> Design:
        """Its layers, in steps of `factor` samples."""
        return Design(kernel_size=self.kernel_size, dilations=self.dilations, cycles=self.cycles)

    @property
    def receptive_field(self) -> ReceptiveField:
        """The inputs of its output at t: complete frames, of which the last ended up to `factor - 1` samples before."""
        field = ReceptiveField.conv(self.factor, stride=self.factor, padding="valid")
        for dilation in self.layer_dilations:
            block = ReceptiveField.conv(self.kernel_size, dilation).union(ReceptiveField.identity())
            field = field.then(block)
        held = ReceptiveField.upsample(self.factor).then(ReceptiveField.delay(self.factor - 1))
        return field.then(held)
