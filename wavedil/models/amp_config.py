"""Settings of an amp model: the feed-forward WaveNet of Neural Amp Modeler, as its `.nam` files describe it."""

import dataclasses
import itertools
import math
from collections.abc import Iterator
from typing import Any, ClassVar, Self

from wavedil.config import Config, decided, no_option
from wavedil.errors import UserError, require_positive
from wavedil.models.amp_array_config import AmpActivationConfig, AmpArrayConfig
from wavedil.receptive_field import ReceptiveField

# What a convolution remembers is made before the first sample is heard: at most so much of it.
_MAX_PAST = 2**24
_MAX_STATE = 2**26


@dataclasses.dataclass(frozen=True, kw_only=True)
class AmpHeadConfig(Config):
    """Layers after the arrays: an activation and a convolution, as often as there are kernel sizes."""

    channels: int = 8
    """Channels between the convolutions."""
    out_channels: int = 1
    """Channels of the last one."""
    kernel_sizes: tuple[int, ...] = (1,)
    """Taps of each."""
    activation: AmpActivationConfig = AmpActivationConfig()
    """Before each."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.kernel_sizes:
            raise UserError("kernel_sizes of the head are empty; give at least one, or no head")
        require_positive(
            "head", channels=self.channels, out_channels=self.out_channels,
            kernel_size=min(self.kernel_sizes),
        )  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class KnobConfig(Config):
    """A knob of the amp that the recordings of its sound were made at several settings of."""

    knob: str = "gain"
    """What it is called."""
    least: float = 0.0
    """The lowest setting in the recordings."""
    most: float = 1.0
    """The highest one."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (math.isfinite(self.most - self.least) and self.least < self.most):
            raise UserError(
                f"knob {self.knob} goes from {self.least:g} to {self.most:g}; give its lowest setting and a higher one"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class AmpModelConfig(Config):
    """Settings of an `AmpModel`: validated when made, JSON round trip.

    Example:
      >>> AmpModelConfig.standard().receptive_field.size
      4093
    """

    name: ClassVar[str] = "AmpModel"

    arrays: tuple[AmpArrayConfig, ...] = no_option(default=(AmpArrayConfig(head_bias=True),))
    """Arrays of layers, one after the other."""
    head: AmpHeadConfig | None = no_option(default=None)
    """Layers after the arrays."""
    head_scale: float = no_option(default=0.02)
    """What the sum of the arrays' heads is multiplied by."""
    condition: "AmpModelConfig | None" = no_option(default=None)
    """A network whose output conditions the layers; by default the dry signal does."""
    knobs: tuple[KnobConfig, ...] = decided(by="the recordings", is_scale=True, default=())
    """Knobs of the amp that can be set when it is played."""
    in_channels: int = decided(by="the recordings", default=1)
    """Channels of the dry signal."""
    sample_rate: int = decided(by="the recordings", default=48000)
    """Samples per second (Hz)."""
    metadata: str = decided(by="a .nam file", default="")
    """What a .nam file says of the amp, its gear and levels: JSON text."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(in_channels=self.in_channels, sample_rate=self.sample_rate)
        if not math.isfinite(self.head_scale):
            raise UserError(f"head_scale is {self.head_scale}, but it must be finite; use 0.02")
        self._check_arrays()
        self._check_condition()
        names = [knob.knob for knob in self.knobs]
        if len(set(names)) != len(names):
            raise UserError(f"knobs are {', '.join(names)}; leave each out but once")
        self._check_memory()

    def _check_arrays(self) -> None:
        if not self.arrays:
            raise UserError("arrays is empty; give at least one array of layers")
        for number, (before, array) in enumerate(itertools.pairwise(self.arrays), 1):
            for what, size in (("channels", array.channels), ("head sum", array.head_width)):
                if size != before.head_channels:
                    raise UserError(
                        f"the {what} of array {number} has {size} channels, but array {number - 1} hands on "
                        f"{before.head_channels}; give array {number - 1} head_channels={size}"
                    )
        for number, array in enumerate(self.arrays):
            array.check_groups(f"array {number}", self.condition_size)

    def _check_condition(self) -> None:
        inner = self.condition
        if inner is None:
            return
        for what in ("in_channels", "sample_rate"):
            mine, its = getattr(self, what), getattr(inner, what)
            if mine != its:
                raise UserError(
                    f"the condition's {what} is {its} and the model's {mine}; make both the same"
                )
        if inner.knobs:
            raise UserError("the condition has knobs; give them to the model itself")

    def _check_memory(self) -> None:
        past = sum(past for past, _ in self.memory)
        numbers = sum(past * channels for past, channels in self.memory)
        if past > _MAX_PAST or numbers > _MAX_STATE:
            raise UserError(
                f"the convolutions span {past} samples and remember {numbers} numbers, more than the {_MAX_PAST} "
                f"and {_MAX_STATE} that a model may; use smaller dilations"
            )

    @property
    def memory(self) -> tuple[tuple[int, int], ...]:
        """Samples, and channels of each, that every convolution remembers, in the order in which they run."""
        return tuple(self._memory())

    def _memory(self) -> Iterator[tuple[int, int]]:
        if self.condition is not None:
            yield from self.condition.memory
        for array in self.arrays:
            for size, dilation in zip(array.kernel_sizes, array.dilations, strict=True):
                yield (size - 1) * dilation, array.channels
            yield (array.head_kernel_size - 1) * array.head_dilation, array.head_width
        if self.head is not None:
            channels = self.arrays[-1].head_channels
            for size in self.head.kernel_sizes:
                yield size - 1, channels
                channels = self.head.channels

    @property
    def condition_size(self) -> int:
        """Channels of what conditions the layers."""
        return self.in_channels if self.condition is None else self.condition.out_channels

    @property
    def out_channels(self) -> int:
        """Channels of the output."""
        return self.arrays[-1].head_channels if self.head is None else self.head.out_channels

    @property
    def lowest_settings(self) -> dict[str, float]:
        """Every knob at the lowest setting that the model knows."""
        return {knob.knob: knob.least for knob in self.knobs}

    @property
    def receptive_field(self) -> ReceptiveField:
        """The dry samples that an output hears."""
        identity = ReceptiveField.identity()
        condition = identity if self.condition is None else self.condition.receptive_field
        stream, heads = identity, None
        for array in self.arrays:
            stream, heads = array.fields(stream, condition, heads)
        assert heads is not None
        for size in () if self.head is None else self.head.kernel_sizes:
            heads = heads.then(ReceptiveField.conv(size))
        return heads

    @property
    def training_bytes_per_sample(self) -> int:
        """About so much memory a training step takes for each sample of a window."""
        inner = 0 if self.condition is None else self.condition.training_bytes_per_sample
        widths = [
            array.channels + 3 * array.inner_width(number) + 2 * array.head_width
            for array in self.arrays
            for number in range(array.num_layers)
        ]
        return inner + 4 * sum(widths)

    @classmethod
    def standard(cls, **changes: Any) -> Self:
        """A1 standard: 13,802 parameters, 4093 samples."""
        octaves = tuple(2**k for k in range(10))
        return cls._a1(16, 8, octaves, octaves, changes)

    @classmethod
    def lite(cls, **changes: Any) -> Self:
        """A1 lite: 6,554 parameters, 4093 samples."""
        return cls._light(12, 6, changes)

    @classmethod
    def feather(cls, **changes: Any) -> Self:
        """A1 feather: 3,026 parameters, 4093 samples."""
        return cls._light(8, 4, changes)

    @classmethod
    def nano(cls, **changes: Any) -> Self:
        """A1 nano: 842 parameters, 4093 samples."""
        return cls._light(4, 2, changes)

    @classmethod
    def a2(cls, channels: int = 8, **changes: Any) -> Self:
        """A2: 12,146 parameters with 8 channels, 1,871 with 3; 6347 samples."""
        seven = (1, 3, 7, 17, 41, 101, 239)
        array = AmpArrayConfig(
            channels=channels,
            dilations=(*seven, *seven, 1, 13, *seven),
            kernel_sizes=(6,) * 14 + (15,) * 2 + (6,) * 7,
            activations=(AmpActivationConfig(function="leaky_relu"),),
            head_kernel_size=16,
            head_bias=True,
        )
        return cls(**{"arrays": (array,), "head_scale": 0.01, **changes})

    @classmethod
    def _light(cls, first: int, second: int, changes: dict[str, Any]) -> Self:
        octaves = tuple(2**k for k in range(10))
        return cls._a1(first, second, octaves[:7], (*octaves[7:], *octaves), changes)

    @classmethod
    def _a1(
        cls,
        first: int,
        second: int,
        dilations: tuple[int, ...],
        more: tuple[int, ...],
        changes: dict[str, Any],
    ) -> Self:
        arrays = (
            AmpArrayConfig(channels=first, dilations=dilations, head_channels=second),
            AmpArrayConfig(channels=second, dilations=more, head_bias=True),
        )
        return cls(**{"arrays": arrays, **changes})
