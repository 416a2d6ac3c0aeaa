"""What a WaveNet is made of."""

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any, Literal, Self

from wavedil.errors import UserError
from wavedil.levels import Levels
from wavedil.models.context import ContextConfig
from wavedil.models.local import LocalConfig
from wavedil.receptive_field import ReceptiveField
from wavedil.settings import Settings

_ONE_CYCLE = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class LabelValues(dict[str, tuple[str, ...]]):
    """Each label with its values, hashable so that the settings are."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self.items()))


@dataclasses.dataclass(frozen=True, kw_only=True)
class WaveNetConfig(Settings):
    """Settings of a WaveNet (arXiv:1609.03499): validated when made, JSON round trip.

    Example:
      >>> WaveNetConfig(cycles=2, sample_rate=8000).receptive_field.size
      2048
    """

    levels: int = 256
    """Levels of a sample, 2 to 65536. A categorical output has a number for each, a mixture three a component."""
    scale: Literal["mu_law", "linear"] = "mu_law"
    """Where the levels lie: mu-law has more of them near silence; linear ones are the values of a PCM file."""
    output: Literal["categorical", "logistic", "gaussian"] = "categorical"
    """Distribution of the next sample: any over the levels, a mixture of logistics or one of Gaussians."""
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
    """Channels of the signal and the gates inside the stack."""
    skip_channels: int = 256
    """Channels of the skip sum and the layers after it."""
    hidden_channels: int | None = None
    """Channels of the layer after the skip sum; by default skip_channels."""
    bottleneck_channels: int | None = None
    """Channels of a linear layer between that one and the output; by default there is none."""
    biases: bool = True
    """Whether the convolutions up to the skip sum have biases."""
    labels: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=LabelValues)
    """Named labels the model can be conditioned on, each with its values."""
    label_channels: int = 16
    """Size of a label's embedding."""
    local: LocalConfig | None = None
    """The features that say what the sound is from moment to moment; None for a model without."""
    context: ContextConfig | None = None
    """A second stack, at a lower rate, that sees far and conditions the first; None for a model without."""
    sample_rate: int = 16000
    """Samples per second (Hz) of the sound."""

    def __post_init__(self) -> None:
        labels = LabelValues((name, tuple(values)) for name, values in self.labels.items())
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "dilations", tuple(self.dilations))
        self._check_output()
        if self.input not in ("codes", "scalar"):
            raise UserError(f"input is {self.input!r}, but it must be 'codes' or 'scalar'")
        if not self.dilations:
            raise UserError("dilations is empty; give at least one, such as 1:512 or 1,2,4")
        for dilation in self.dilations:
            _require_positive("a dilation", dilation)
        for name in ("input_kernel_size", "kernel_size", "cycles", "residual_channels"):
            _require_positive(name, getattr(self, name))
        for name in ("skip_channels", "label_channels", "sample_rate"):
            _require_positive(name, getattr(self, name))
        for name in ("embedding_channels", "hidden_channels", "bottleneck_channels"):
            if getattr(self, name) is not None:
                _require_positive(name, getattr(self, name))
        for name, values in labels.items():
            if not values:
                raise UserError(f"label {name!r} has no values; leave it out or give its values")
        mel = None if self.local is None else self.local.mel
        if mel is not None and not (mel.complete and mel.sample_rate == self.sample_rate):
            raise UserError(
                f"local.mel is for {mel.sample_rate} Hz, but the model's sound has {self.sample_rate} Hz; give "
                f"settings for that rate: mel.at({self.sample_rate})"
            )

    def _check_output(self) -> None:
        Levels(self.levels, self.scale)  # refuses what is out of range
        if self.output not in ("categorical", "logistic", "gaussian"):
            raise UserError(
                f"output is {self.output!r}, but it must be 'categorical', 'logistic' or 'gaussian'"
            )
        if self.num_components is not None:
            _require_positive("num_components", self.num_components)
            if self.output == "categorical":
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
    def grid(self) -> Levels:
        """The levels: what a code means as an amplitude."""
        return Levels(self.levels, self.scale)

    @property
    def input_channels(self) -> int:
        """Channels in which a sample enters: its embedding, or its amplitude alone."""
        return (self.embedding_channels or self.residual_channels) if self.input == "codes" else 1

    @property
    def layer_dilations(self) -> tuple[int, ...]:
        """The dilation of every layer of the stack."""
        return self.dilations * self.cycles

    @property
    def receptive_field(self) -> ReceptiveField:
        """What output t sees: `1 + (k_in - 1) + (k - 1) sum of dilations` samples up to t.

        With a context stack also what that sees: the first layer is told of it at t itself, and every later one
        reaches `(k - 1) dilation` samples further back.
        """
        near = ReceptiveField.conv(self.input_kernel_size)
        far = None if self.context is None else self.context.receptive_field
        for layer, dilation in enumerate(self.layer_dilations):
            block = ReceptiveField.conv(self.kernel_size, dilation).union(ReceptiveField.identity())
            near = near.then(block)
            far = far.then(block) if far is not None and layer else far
        return near if far is None else near.union(far)

    def label_indices(self, labels: Mapping[str, str]) -> dict[str, int]:
        """Rows of the embedding tables: 0 for a label that is not given.

        Raises:
          UserError: On a label or a value the model does not know.
        """
        for name, value in labels.items():
            _require_known("label", name, tuple(self.labels))
            _require_known(name, value, self.labels[name])
        return {
            name: values.index(labels[name]) + 1 if name in labels else 0
            for name, values in self.labels.items()
        }


def _require_positive(name: str, value: int) -> None:
    if value < 1:
        raise UserError(f"{name} is {value}, but it must be at least 1")


def _require_known(kind: str, value: str, known: tuple[str, ...]) -> None:
    if value in known:
        return
    near = difflib.get_close_matches(value, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    listing = f"it knows {', '.join(known)}" if known else "it was trained without labels"
    raise UserError(f"{kind} {value!r} is unknown to this model; {hint}{listing}")
