"""What an autoencoder is made of: an encoder, and a WaveNet that its codes condition."""

import dataclasses
import math
from typing import Any, Self

from wavedil.errors import UserError
from wavedil.levels import Levels
from wavedil.models.config import WaveNetConfig
from wavedil.models.local import LocalConfig
from wavedil.receptive_field import ReceptiveField
from wavedil.settings import Settings

# That of the paper: 512 samples at 16 kHz.
_HOP_SECONDS = 0.032


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderConfig(Settings):
    """What turns a sound into a code every `hop` samples.

    Example:
      >>> EncoderConfig().at(16000).hop
      512
    """

    code_size: int = 16
    """Numbers in a code."""
    hop: int | None = None
    """Samples that a code governs; None: the power of two that is nearest to 32 ms."""
    channels: int = 64
    """Channels inside the encoder."""
    kernel_size: int = 3
    """Taps of every layer."""
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
    """Samples between taps, layer by layer in one cycle."""
    cycles: int = 1
    """How often the dilations are repeated."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "dilations", tuple(self.dilations))
        sizes = {
            name: getattr(self, name) for name in ("code_size", "channels", "kernel_size", "cycles")
        }
        sizes |= {} if self.hop is None else {"hop": self.hop}
        if not self.dilations:
            raise UserError("encoder dilations is empty; give at least one, such as 1:512 or 1,2,4")
        sizes["dilation"] = min(self.dilations)
        for name, size in sizes.items():
            if size < 1:
                raise UserError(f"encoder {name} is {size}, but it must be at least 1")

    def at(self, sample_rate: int) -> Self:
        """These settings with a hop, in samples at that rate."""
        fitting = 2 ** round(math.log2(max(1.0, _HOP_SECONDS * sample_rate)))
        return dataclasses.replace(self, hop=self.hop or fitting)

    @property
    def layer_dilations(self) -> tuple[int, ...]:
        """The dilation of every layer."""
        return self.dilations * self.cycles

    @property
    def layers_field(self) -> ReceptiveField:
        """What one sample sees after the layers, before pooling: as far ahead as back where the kernel is odd."""
        field = ReceptiveField.conv(self.kernel_size, padding="same")
        for dilation in self.layer_dilations:
            conv = ReceptiveField.conv(self.kernel_size, dilation, padding="same")
            field = field.then(conv.union(ReceptiveField.identity()))
        return field

    @property
    def receptive_field(self) -> ReceptiveField:
        """What code i sees: the samples `i hop .. (i + 1) hop - 1` and those that the layers see around them."""
        hop = self.require_hop()
        return self.layers_field.then(ReceptiveField.conv(hop, stride=hop, padding="valid"))

    @property
    def context_frames(self) -> int:
        """Frames on either side of its own that a code may see samples of."""
        field = self.layers_field
        return -(-max(field.past, field.future) // self.require_hop())

    def require_hop(self) -> int:
        """The hop.

        Raises:
          UserError: If it is open.
        """
        if self.hop is None:
            raise UserError(
                "encoder settings leave hop open; complete them: settings.at(sample_rate)"
            )
        return self.hop


@dataclasses.dataclass(frozen=True, kw_only=True)
class AutoencoderConfig(Settings):
    """Settings of an autoencoder (arXiv:1704.01279): validated when made, JSON round trip.

    The encoder's hop and the decoder's `local`, which takes the codes, are filled in where they are open.

    Example:
      >>> AutoencoderConfig(decoder=WaveNetConfig.tiny(sample_rate=8000)).decoder.local.hop
      256
    """

    decoder: WaveNetConfig = dataclasses.field(default_factory=WaveNetConfig)
    """The WaveNet that draws the sound."""
    encoder: EncoderConfig = dataclasses.field(default_factory=EncoderConfig)
    """What it is told of it."""

    def __post_init__(self) -> None:
        encoder = self.encoder.at(self.decoder.sample_rate)
        kind: dict[str, Any] = {"num_features": encoder.code_size, "hop": encoder.require_hop()}
        local = self.decoder.local or LocalConfig(**kind)
        if local != dataclasses.replace(local, **kind, mel=None):
            raise UserError(
                f"the decoder's local says {local.num_features} features every {local.hop} samples"
                f"{' of mel spectra' if local.mel else ''}, but the encoder gives {encoder.code_size} numbers every "
                f"{encoder.hop}; set both alike, or leave local out"
            )
        object.__setattr__(self, "encoder", encoder)
        object.__setattr__(self, "decoder", dataclasses.replace(self.decoder, local=local))

    @property
    def local(self) -> LocalConfig:
        """How the decoder takes the codes."""
        assert self.decoder.local is not None
        return self.decoder.local

    @property
    def grid(self) -> Levels:
        """The levels: what a sample's code means as an amplitude."""
        return self.decoder.grid

    @property
    def sample_rate(self) -> int:
        """Samples per second (Hz) of the sound."""
        return self.decoder.sample_rate

    @property
    def context_frames(self) -> int:
        """Frames of sound on either side of a stretch that its likelihood may depend on."""
        return self.local.context_frames + self.encoder.context_frames
