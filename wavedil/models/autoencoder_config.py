"""Settings of an autoencoder: of its encoder, and of the WaveNet that the latents condition."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from wavedil.config import Config
from wavedil.errors import UserError, require_positive
from wavedil.labels import LabelValues
from wavedil.models.local_conditioning import LocalConditioningConfig
from wavedil.models.wavenet_config import WaveNetConfig
from wavedil.quantizer import Quantizer
from wavedil.receptive_field import ReceptiveField

# That of the paper: 512 samples at 16 kHz.
_HOP_SECONDS = 0.032


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderConfig(Config):
    """Settings of the encoder, which turns a sound into a latent every `hop` samples.

    Example:
      >>> EncoderConfig().at(16000).hop
      512
    """

    latent_size: int = 16
    """Numbers in a latent."""
    hop: int | None = None
    """Samples that a latent covers; None: the power of two that is nearest to 32 ms."""
    channels: int = 64
    """Channels inside the encoder."""
    kernel_size: int = 3
    """Taps of every layer."""
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
    """Samples between taps, layer by layer in one cycle."""
    cycles: int = 1
    """How often the dilations are repeated."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.dilations:
            raise UserError("encoder dilations is empty; give at least one, such as 1:512 or 1,2,4")
        sizes = ("latent_size", "hop", "channels", "kernel_size", "cycles")
        require_positive("encoder", **{name: getattr(self, name) for name in sizes})
        require_positive("encoder", dilation=min(self.dilations))

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
        """The inputs of one sample after the layers, before pooling: as far ahead as back where the kernel is odd."""
        field = ReceptiveField.conv(self.kernel_size, padding="same")
        for dilation in self.layer_dilations:
            conv = ReceptiveField.conv(self.kernel_size, dilation, padding="same")
            field = field.then(conv.union(ReceptiveField.identity()))
        return field

    @property
    def receptive_field(self) -> ReceptiveField:
        """The inputs of latent i: the samples `i hop .. (i + 1) hop - 1` and those that the layers see around them."""
        hop = self.require_hop()
        return self.layers_field.then(ReceptiveField.conv(hop, stride=hop, padding="valid"))

    @property
    def lookaround_frames(self) -> int:
        """Frames on either side of its own that a latent may see samples of."""
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
class AutoencoderConfig(Config):
    """Settings of an autoencoder (arXiv:1704.01279): validated when made, JSON round trip.

    The encoder's hop and the decoder's local conditioning, which takes the latents, may be open: `complete` fills
    them in, to suit the sample rate.

    Example:
      >>> AutoencoderConfig(decoder=WaveNetConfig.tiny(sample_rate=8000)).local_conditioning.hop
      256
    """

    name: ClassVar[str] = "Autoencoder"

    decoder: WaveNetConfig = dataclasses.field(default_factory=WaveNetConfig)
    """The WaveNet that draws the sound."""
    encoder: EncoderConfig = dataclasses.field(default_factory=EncoderConfig)
    """The network that makes the latents."""

    def __post_init__(self) -> None:
        super().__post_init__()
        local = self.decoder.local_conditioning
        if local is not None and local.mel is not None:
            raise UserError(
                "decoder.local_conditioning is of mel spectra, but latents condition an autoencoder's decoder; "
                "leave mel out"
            )
        self.complete()  # refuses a decoder and an encoder that do not fit

    def complete(self) -> Self:
        """This config with a hop, and a decoder that takes the latents."""
        encoder = self.encoder.at(self.decoder.sample_rate)
        local = self.decoder.local_conditioning or LocalConditioningConfig()
        local = local.of(encoder.latent_size, encoder.require_hop())
        decoder = dataclasses.replace(self.decoder, local_conditioning=local)
        if (decoder, encoder) == (self.decoder, self.encoder):
            return self
        return dataclasses.replace(self, decoder=decoder, encoder=encoder)

    @property
    def local_conditioning(self) -> LocalConditioningConfig:
        """How the decoder takes the latents."""
        local = self.complete().decoder.local_conditioning
        assert local is not None
        return local

    @property
    def labels(self) -> Mapping[str, tuple[str, ...]]:
        """Named labels the decoder can be conditioned on, each with its values."""
        return self.decoder.labels

    def label_indices(self, labels: LabelValues | None, num_signals: int = 1) -> dict[str, Any]:
        """As `WaveNetConfig.label_indices`, of the decoder."""
        return self.decoder.label_indices(labels, num_signals)

    @property
    def levels(self) -> int:
        """Levels of a sample."""
        return self.decoder.levels

    @property
    def quantizer(self) -> Quantizer:
        """The levels of a sample: what a code means as an amplitude."""
        return self.decoder.quantizer

    @property
    def sample_rate(self) -> int:
        """Samples per second (Hz) of the sound."""
        return self.decoder.sample_rate

    @property
    def frame_size(self) -> int:
        """As `WaveNetConfig.frame_size`, of the decoder."""
        return self.complete().decoder.frame_size

    @property
    def context_samples(self) -> int:
        """As `WaveNetConfig.context_samples`, of the decoder."""
        return self.complete().decoder.context_samples

    @property
    def lookaround_frames(self) -> int:
        """Frames of sound on either side of a stretch that its likelihood may depend on."""
        config = self.complete()
        return config.local_conditioning.lookaround_frames + config.encoder.lookaround_frames
