"""Settings of a WaveNet."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from wavedil.config import Config, decided
from wavedil.distributions.registry import DISTRIBUTIONS
from wavedil.errors import UserError, require_known, require_positive, require_rate
from wavedil.frames import num_frames
from wavedil.labels import LabelValues, Vocabulary
from wavedil.models.context_stack import ContextStackConfig
from wavedil.models.local_conditioning import LocalConditioningConfig
from wavedil.quantizer import Companding, Quantizer
from wavedil.receptive_field import ReceptiveField, pitch_lags

# Neighbours of the sample one pitch period back that the input sees.
INPUT_SPREAD = 2
_PITCH_CHANNELS = 4
_ONE_CYCLE = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_SIZES = (
    *("input_kernel_size", "kernel_size", "cycles", "residual_channels", "gate_channels"),
    *(
        "skip_channels",
        "embedding_channels",
        "hidden_channels",
        "bottleneck_channels",
        "label_channels",
    ),
    "sample_rate",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class WaveNetConfig(Config):
    """Settings of a WaveNet (arXiv:1609.03499): validated when made, JSON round trip.

    Example:
      >>> WaveNetConfig(cycles=2, sample_rate=8000).receptive_field.size
      2048
    """

    name: ClassVar[str] = "WaveNet"

    levels: int = 256
    """Levels of a sample, 2 to 65536. A categorical output has a number for each, a mixture three a component."""
    companding: Companding = "mu_law"
    """Where the levels lie: mu-law has more of them near silence; linear ones are the values of a PCM file."""
    output: str = "categorical"
    """Distribution of the next sample: any over the levels (categorical), or a mixture (logistic, gaussian)."""
    num_components: int | None = None
    """Components of a mixture; by default 10 logistics or 1 Gaussian."""
    input: Literal["codes", "scalar"] = "codes"
    """Whether a sample enters as its embedded code or as its amplitude, which suits thousands of levels better."""
    embedding_channels: int | None = None
    """Size of a code's embedding; by default residual_channels."""
    input_kernel_size: int = 2
    """Taps of the causal convolution before the stack."""
    kernel_size: int = 2
    """Taps of every layer of the stack."""
    dilations: tuple[int, ...] = _ONE_CYCLE
    """Samples between taps, layer by layer in one cycle."""
    cycles: int = 3
    """How often the dilations are repeated."""
    residual_channels: int = 64
    """Channels of the signal inside the stack."""
    gate_channels: int | None = None
    """Channels of the gates inside the stack; by default residual_channels."""
    skip_channels: int = 256
    """Channels of the skip sum and the layers after it."""
    hidden_channels: int | None = None
    """Channels of the layer after the skip sum; by default skip_channels."""
    bottleneck_channels: int | None = None
    """Channels of a linear layer between that one and the output; by default there is none."""
    dropout: float = 0.0
    """Share of the input of every convolution of the stack that is dropped while it trains, 0 to below 1."""
    biases: bool = True
    """Whether the convolutions up to the skip sum have biases."""
    labels: Mapping[str, tuple[str, ...]] = decided(by="the recordings", default_factory=Vocabulary)
    """Named labels the model can be conditioned on, each with its values."""
    label_channels: int = 16
    """Size of a label's embedding."""
    label_dropout: float = 0.0
    """Share of the signals whose labels are left out while it trains, 0 to below 1: a model that knows sound without
    labels too can be guided by them (generate --guidance); 0.15, say."""
    local_conditioning: LocalConditioningConfig | None = None
    """Features, such as mel spectra, that condition it at every moment; None for a model without."""
    context_stack: ContextStackConfig | None = None
    """A second stack, at a lower rate, that sees far and conditions the first; None for a model without."""
    sample_rate: int = decided(by="the recordings", default=16000)
    """Samples per second (Hz) of the sound."""

    def __post_init__(self) -> None:
        super().__post_init__()
        labels = Vocabulary({name: tuple(values) for name, values in self.labels.items()})
        object.__setattr__(self, "labels", labels)
        self._check_output()
        if not self.dilations:
            raise UserError("dilations is empty; give at least one, such as 1:512 or 1,2,4")
        require_positive(dilation=min(self.dilations))
        require_positive(**{name: getattr(self, name) for name in _SIZES})
        require_rate(self.dropout)
        require_rate(self.label_dropout, "label_dropout")
        for name, values in labels.items():
            if not values:
                raise UserError(f"label {name!r} has no values; leave it out or give its values")
        mel = None if self.local_conditioning is None else self.local_conditioning.mel
        if mel is not None and not (mel.complete and mel.sample_rate == self.sample_rate):
            raise UserError(
                f"local_conditioning.mel is for {mel.sample_rate} Hz, but the model's sound has {self.sample_rate} Hz; "
                f"give settings for that rate: mel.at({self.sample_rate})"
            )

        if self.follows_pitch == "blocks" and (self.cycles < 2 or self.kernel_size < 2):
            raise UserError(
                f"local_conditioning.pitch_taps is 'blocks' with {self.cycles} cycles of kernel_size "
                f"{self.kernel_size}, but the last of several cycles follows the pitch, with 2 taps or more; use "
                "cycles=2, or pitch_taps='input'"
            )

    def _check_output(self) -> None:
        Quantizer(self.levels, self.companding)  # refuses what is out of range
        require_known("output", self.output, DISTRIBUTIONS)
        require_positive(num_components=self.num_components)
        if self.num_components is not None and self.output == "categorical":
            raise UserError(
                f"num_components is {self.num_components}, but a categorical output has none; "
                "leave it out, or set output to 'logistic' or 'gaussian'"
            )

    @classmethod
    def tiny(cls, **changes: Any) -> Self:
        """A model that compiles and trains in seconds, for tests and demonstrations."""
        sizes: dict[str, Any] = {"dilations": (1, 2, 4, 8), "cycles": 2, "residual_channels": 16}
        return cls(**({**sizes, "skip_channels": 32} | changes))

    @classmethod
    def paper(cls, **changes: Any) -> Self:
        """Thirty layers, 64 residual and 256 skip channels: the size that speech papers train."""
        return cls(**changes)

    @property
    def quantizer(self) -> Quantizer:
        """The levels of a sample: what a code means as an amplitude."""
        return Quantizer(self.levels, self.companding)

    def label_indices(self, labels: LabelValues | None, num_signals: int = 1) -> dict[str, Any]:
        """The rows of labels in the model's tables, as `Vocabulary.rows` gives them.

        Example:
          >>> WaveNetConfig(labels={"digit": ("3", "7")}).label_indices({"digit": "7"})
          {'digit': array([2], dtype=int32)}
        """
        return Vocabulary(self.labels).rows(labels, num_signals)

    @property
    def input_channels(self) -> int:
        """Channels in which a sample enters: its embedding, or its amplitude alone."""
        return (self.embedding_channels or self.residual_channels) if self.input == "codes" else 1

    @property
    def condition_channels(self) -> int | None:
        """Channels of what conditions the stack; None for a model without conditions."""
        varying = self.local_conditioning or self.context_stack
        return varying.channels if varying else self.label_channels * len(self.labels) or None

    @property
    def layer_dilations(self) -> tuple[int, ...]:
        """The dilation of every layer of the stack; without those that follow the pitch."""
        return self.dilations * (self.cycles - (self.follows_pitch == "blocks"))

    @property
    def follows_pitch(self) -> str:
        """Where it sees what was a pitch period ago: "input", "blocks" (the last cycle's) or "none"."""
        return "none" if self.local_conditioning is None else self.local_conditioning.follows_pitch

    @property
    def prediction_order(self) -> int:
        """Samples of which a linear prediction of the next one is made; 0 where there is none."""
        return 0 if self.local_conditioning is None else self.local_conditioning.prediction_order

    @property
    def predicted_lag(self) -> int | None:
        """The longest lag of the residual that a linear prediction adds; None where there is none."""
        follows = self.follows_pitch != "none" and self.prediction_order > 0
        return self.longest_lag if follows else None

    @property
    def longest_lag(self) -> int:
        """Most samples from the newest that is seen to the one a pitch period before the one that is predicted."""
        local = self.local_conditioning
        assert local is not None and local.pitch is not None
        return local.pitch.longest_period - 1

    @property
    def pitch_channels(self) -> int:
        """Numbers of a sample that the taps one pitch period before the predicted sample see at the input."""
        return min(_PITCH_CHANNELS, self.input_channels)

    @property
    def entry_field(self) -> ReceptiveField:
        """What the layers before the stack see."""
        field = ReceptiveField.conv(max(self.input_kernel_size, self.prediction_order))
        if self.predicted_lag is not None:
            # Three residuals, each of a sample and of those that predicted it.
            residuals = ReceptiveField.conv(self.prediction_order + 3)
            field = field.union(residuals.then(ReceptiveField.delay(self.predicted_lag - 1)))
        if self.follows_pitch != "input":
            return field
        return field.union(ReceptiveField.pitch_conv(self.longest_lag, spread=INPUT_SPREAD))

    @property
    def pitch_fields(self) -> tuple[ReceptiveField, ...]:
        """Those of the layers of the stack that follow the pitch."""
        if self.follows_pitch != "blocks":
            return ()
        lags = pitch_lags(self.longest_lag, len(self.dilations))
        return tuple(ReceptiveField.pitch_conv(lag, self.kernel_size - 1) for lag in lags)

    @property
    def receptive_field(self) -> ReceptiveField:
        """The inputs of output t: `1 + (k_in - 1) + (k - 1) sum of dilations` samples up to t.

        With a context stack also what that sees: the first layer is conditioned on it at t itself, and every later one
        reaches `(k - 1) dilation` samples further back. Where it follows the pitch, with the longest period.
        """
        near = self.entry_field
        far = None if self.context_stack is None else self.context_stack.receptive_field
        fixed = [ReceptiveField.conv(self.kernel_size, d) for d in self.layer_dilations]
        for layer, field in enumerate((*fixed, *self.pitch_fields)):
            block = field.union(ReceptiveField.identity())
            near = near.then(block)
            far = far.then(block) if far is not None and layer else far
        return near if far is None else near.union(far)

    @property
    def training_bytes_per_sample(self) -> int:
        """Memory that a training step takes for each sample: float32 activations, and half as much around them.

        Every layer keeps its filter and gate, and with dropout about three times as much; the skip sum, the layer after
        it and the outputs are there with their gradients.
        """
        layers = (
            len(self.dilations) * self.cycles * 2 * (self.gate_channels or self.residual_channels)
        )
        return 4 * (layers * (10 if self.dropout else 3) // 2 + 8 * self._output_width)

    @property
    def remat_bytes_per_sample(self) -> int:
        """The same where activations are computed again: only those of a block of time are there at once.

        With dropout every layer keeps its input and its share of the skip sum. Layers that follow the pitch keep all.
        """
        channels = self.residual_channels
        gates = self.gate_channels or channels
        again = len(self.layer_dilations) * (channels + gates) if self.dropout else 2 * channels
        others = (len(self.dilations) * self.cycles - len(self.layer_dilations)) * 2 * gates
        layers = again + others * (10 if self.dropout else 3) // 2
        return 4 * (layers + 8 * self._output_width)

    @property
    def _output_width(self) -> int:
        return max(self.levels if self.output == "categorical" else 0, self.skip_channels)

    @property
    def frame_size(self) -> int:
        """Samples of a frame: cuts of a recording lie between frames, of features and of the context stack alike."""
        hop = self.local_conditioning.hop if self.local_conditioning else None
        factor = self.context_stack.factor if self.context_stack else None
        return math.lcm(hop or 1, factor or 1)

    @property
    def context_samples(self) -> int:
        """Samples before a stretch of sound that its likelihood depends on: the field, rounded up to frames, and one.

        The last of them stands at the input where the stretch's first sample is predicted.
        """
        return self.frame_size * num_frames(self.receptive_field.past, self.frame_size) + 1
