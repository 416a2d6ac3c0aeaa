"""Settings of an array of an amp model's layers."""

import dataclasses
import math
from typing import Literal

from wavedil.config import Config
from wavedil.errors import UserError, require_positive
from wavedil.receptive_field import ReceptiveField

Function = Literal[
    "tanh", "hardtanh", "fast_tanh", "relu", "leaky_relu", "prelu", "sigmoid", "silu", "hardswish",
    "leaky_hardtanh", "softsign",
]  # fmt: skip
Gating = Literal["none", "gated", "blended"]

FILMS = (
    *("conv_pre_film", "conv_post_film", "input_mixin_pre_film", "input_mixin_post_film"),
    *("activation_pre_film", "activation_post_film", "layer1x1_post_film", "head1x1_post_film"),
)
"""Places of a layer where the condition may scale and shift its channels, in the order of their weights."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class AmpActivationConfig(Config):
    """An activation, with its numbers where it has any.

    leaky_relu      x above 0, slope x below                         one slope, 0.01
    prelu           the same                                         a slope, or one for each channel, 0.01
    leaky_hardtanh  x between two limits, straight on beyond them    limits -1, 1; slopes below and above, 0.01, 0.01
    fast_tanh       a rational function near tanh
    """

    function: Function = "tanh"
    """Which it is."""
    slopes: tuple[float, ...] = ()
    """Its slopes."""
    limits: tuple[float, ...] = ()
    """Its limits."""

    def __post_init__(self) -> None:
        super().__post_init__()
        slopes, limits = {
            "leaky_relu": ((0.01,), ()),
            "prelu": ((0.01,), ()),
            "leaky_hardtanh": ((0.01, 0.01), (-1.0, 1.0)),
        }.get(self.function, ((), ()))
        for name, default in (("slopes", slopes), ("limits", limits)):
            given = getattr(self, name) or default
            fits = len(given) == len(default) or (self.function == "prelu" and name == "slopes")
            if not fits or not all(map(math.isfinite, given)):
                raise UserError(
                    f"{name} of {self.function} are {list(given)}, but it has {len(default)}, which are finite"
                )
            object.__setattr__(self, name, given)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AmpFiLMConfig(Config):
    """A scale, and perhaps an offset, for every channel, from the condition."""

    shift: bool = True
    """Whether there is an offset."""
    groups: int = 1
    """Groups of channels that do not see each other."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive("film", groups=self.groups)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AmpArrayConfig(Config):
    """An array of layers, and the head that reads the sum of their outputs.

    What is a tuple has an entry for each layer, or one for all.
    """

    channels: int = 16
    """Channels of the residual signal."""
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
    """Samples between taps, layer by layer."""
    kernel_sizes: tuple[int, ...] = (3,)
    """Taps."""
    activations: tuple[AmpActivationConfig, ...] = (AmpActivationConfig(),)
    """Activations."""
    gating: tuple[Gating, ...] = ("none",)
    """gated: a(z1) g(z2); blended: g(z2) a(z1) + (1 - g(z2)) z1, where the convolution makes z1 and z2."""
    secondary_activations: tuple[AmpActivationConfig, ...] = (
        AmpActivationConfig(function="sigmoid"),
    )
    """g, where there is a gate."""
    bottleneck: int | None = None
    """Channels of the activations; by default those of the residual signal."""
    conv_groups: int = 1
    """Groups of the convolutions."""
    mixin_groups: int = 1
    """Groups of the layers that add the condition."""
    layer1x1_groups: int | None = 1
    """Groups of the layers that add activations to the residual signal; None: nothing is added."""
    head1x1_channels: int | None = None
    """Channels of layers between the activations and the head sum; None: there are none."""
    head1x1_groups: int = 1
    """Groups of these."""
    head_channels: int = 1
    """Outputs of the head."""
    head_kernel_size: int = 1
    """Its taps."""
    head_dilation: int = 1
    """Samples between them."""
    head_bias: bool = False
    """Whether it has a bias."""
    conv_pre_film: AmpFiLMConfig | None = None
    """Modulates the input of the convolution."""
    conv_post_film: AmpFiLMConfig | None = None
    """Modulates its output."""
    input_mixin_pre_film: AmpFiLMConfig | None = None
    """Modulates the condition before it is added."""
    input_mixin_post_film: AmpFiLMConfig | None = None
    """Modulates what is added."""
    activation_pre_film: AmpFiLMConfig | None = None
    """Modulates the sum before the activation."""
    activation_post_film: AmpFiLMConfig | None = None
    """Modulates the activation."""
    layer1x1_post_film: AmpFiLMConfig | None = None
    """Modulates what is added to the residual signal, of blended layers alone, as the player has it."""
    head1x1_post_film: AmpFiLMConfig | None = None
    """Modulates what is added to the head sum."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.dilations:
            raise UserError("dilations of an array are empty; give at least one, such as 1,2,4")
        for name in ("kernel_sizes", "activations", "gating", "secondary_activations"):
            values = getattr(self, name)
            if len(values) == 1:
                object.__setattr__(self, name, values * self.num_layers)
            elif len(values) != self.num_layers:
                raise UserError(
                    f"{name} has {len(values)} entries, but there are {self.num_layers} dilations; give one for "
                    "each, or one for all"
                )
        sizes = ("channels", "bottleneck", "conv_groups", "mixin_groups", "layer1x1_groups")
        head = ("channels", "kernel_size", "dilation")
        require_positive(
            "array",
            **{
                name: getattr(self, name) for name in (*sizes, "head1x1_channels", "head1x1_groups")
            },
            **{f"head_{name}": getattr(self, f"head_{name}") for name in head},
            dilation=min(self.dilations),
            kernel_size=min(self.kernel_sizes),
        )
        if self.bottleneck == self.channels:
            object.__setattr__(self, "bottleneck", None)
        self._check_parts()

    def _check_parts(self) -> None:
        if self.layer1x1_groups is None and self.width != self.channels:
            raise UserError(
                f"bottleneck is {self.bottleneck} and channels {self.channels}, which must be equal without layer1x1"
            )
        for there, film in (
            (self.layer1x1_groups, "layer1x1_post_film"),
            (self.head1x1_channels, "head1x1_post_film"),
        ):
            if there is None and getattr(self, film) is not None:
                raise UserError(f"{film} modulates what is not there; leave it out")
        for activation in (*self.activations, *self.secondary_activations):
            if activation.function == "prelu" and len(activation.slopes) not in (1, self.width):
                raise UserError(
                    f"prelu has {len(activation.slopes)} slopes, but there are {self.width} channels; give one for "
                    "each, or one for all"
                )

    @property
    def num_layers(self) -> int:
        """Layers."""
        return len(self.dilations)

    @property
    def width(self) -> int:
        """Channels of the activations."""
        return self.channels if self.bottleneck is None else self.bottleneck

    @property
    def head_width(self) -> int:
        """Channels of the head sum."""
        return self.width if self.head1x1_channels is None else self.head1x1_channels

    def inner_width(self, layer: int) -> int:
        """Channels that the convolution of a layer makes."""
        return self.width * (1 if self.gating[layer] == "none" else 2)

    def films(self, layer: int, condition_size: int) -> dict[str, tuple[AmpFiLMConfig, int]]:
        """The modulations that a layer has, with the channels of each."""
        inner = self.inner_width(layer)
        sizes = (self.channels, inner, condition_size, inner, inner, self.width, self.channels)
        found = {name: getattr(self, name) for name in FILMS}
        return {
            name: (found[name], size)
            for name, size in zip(FILMS, (*sizes, self.head_width), strict=True)
            if found[name] is not None
        }

    def check_groups(self, what: str, condition_size: int) -> None:
        """Refuses groups that do not divide the channels they are of.

        Raises:
          UserError: With the first that does not.
        """
        inner = math.gcd(*(self.inner_width(layer) for layer in range(self.num_layers)))
        checks = [
            ("conv_groups", self.conv_groups, self.channels, inner),
            ("mixin_groups", self.mixin_groups, condition_size, inner),
            ("layer1x1_groups", self.layer1x1_groups or 1, self.width, self.channels),
            ("head1x1_groups", self.head1x1_groups, self.width, self.head_width),
        ]
        for layer in range(self.num_layers):
            for name, (film, size) in self.films(layer, condition_size).items():
                outputs = size * (2 if film.shift else 1)
                checks.append((f"{name}.groups", film.groups, condition_size, outputs))
        for name, groups, inputs, outputs in checks:
            if groups < 1 or inputs % groups or outputs % groups:
                raise UserError(
                    f"{name} of {what} is {groups}, which does not divide {inputs} and {outputs} channels; use a "
                    f"divisor of {math.gcd(inputs, outputs)}"
                )

    def fields(
        self, stream: ReceptiveField, condition: ReceptiveField, heads: ReceptiveField | None
    ) -> tuple[ReceptiveField, ReceptiveField]:
        """What the residual signal after the array and its head see, where the signals before it see so much."""
        for size, dilation in zip(self.kernel_sizes, self.dilations, strict=True):
            inside = stream if self.conv_pre_film is None else stream.union(condition)
            inside = inside.then(ReceptiveField.conv(size, dilation)).union(condition)
            heads = inside if heads is None else heads.union(inside)
            stream = stream if self.layer1x1_groups is None else stream.union(inside)
        assert heads is not None
        return stream, heads.then(ReceptiveField.conv(self.head_kernel_size, self.head_dilation))
