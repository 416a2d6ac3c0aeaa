"""The settings of a WaveNet in a `.nam` file, and those of an `AmpModel`, made of each other."""

from collections.abc import Mapping, Sequence
from typing import Any

from wavedil.errors import UserError, suggestion
from wavedil.formats.nam_keys import Keys
from wavedil.models.amp_array_config import (
    FILMS,
    AmpActivationConfig,
    AmpArrayConfig,
    AmpFiLMConfig,
)
from wavedil.models.amp_config import AmpHeadConfig, AmpModelConfig

FUNCTIONS = {
    "Tanh": "tanh",
    "Hardtanh": "hardtanh",
    "Fasttanh": "fast_tanh",
    "ReLU": "relu",
    "LeakyReLU": "leaky_relu",
    "PReLU": "prelu",
    "Sigmoid": "sigmoid",
    "SiLU": "silu",
    "Hardswish": "hardswish",
    "LeakyHardtanh": "leaky_hardtanh",
    "Softsign": "softsign",
}
"""Activation in a file -> ours."""
_SIGMOID = AmpActivationConfig(function="sigmoid")


def read_config(keys: Keys, condition: AmpModelConfig | None, **about: Any) -> AmpModelConfig:
    """The settings in the `config` of a file.

    Args:
      keys: The object.
      condition: Those of the file nested in it as condition_dsp, which has been read.
      **about: Fields that stand beside the object.

    Raises:
      UserError: With the key that is missing, unknown, or of another type than it must be.
    """
    in_channels = keys.take("in_channels", int, 1)
    arrays = [_read_array(item) for item in keys.objects("layers")]
    head = keys.object("head", optional=True)
    config = AmpModelConfig(
        arrays=tuple(array for array, _ in arrays),
        head=None if head is None else _read_head(head, arrays[-1][0] if arrays else None),
        head_scale=keys.take("head_scale", float),
        condition=condition,
        in_channels=in_channels,
        **about,
    )
    keys.end()
    inputs = (in_channels, *(array.channels for array in config.arrays))
    for (_, sizes), expected, where in zip(arrays, inputs, keys.items("layers"), strict=False):
        for name, size in (("input_size", expected), ("condition_size", config.condition_size)):
            if sizes[name] != size:
                raise UserError(
                    f"{where} has {name} {sizes[name]}, but what comes in has {size} channels; export the model again"
                )
    return config


def write_config(config: AmpModelConfig, flat: bool) -> dict[str, Any]:
    """The `config` of a file, without condition_dsp; with the older flat keys, or all of them."""
    layers, inputs = [], config.in_channels
    for array in config.arrays:
        sizes = {"input_size": inputs, "condition_size": config.condition_size}
        layers.append(sizes | (_flat_array(array) if flat else _array(array)))
        inputs = array.channels
    head = config.head
    values: dict[str, Any] = {"layers": layers, "head": None, "head_scale": config.head_scale}
    if head is not None:
        values["head"] = {
            "channels": head.channels,
            "out_channels": head.out_channels,
            "kernel_sizes": list(head.kernel_sizes),
            "activation": _activation(head.activation),
        }
    return values | ({} if config.in_channels == 1 else {"in_channels": config.in_channels})


def is_flat(config: AmpModelConfig) -> bool:
    """Whether the older flat keys say all of it, which older players read too."""
    return (
        config.head is None
        and config.condition is None
        and config.in_channels == 1
        and all(
            array == read
            for array in config.arrays
            for read, _ in [_read_array(Keys(_flat_array(array) | _SIZES, ""))]
        )
    )


_SIZES = {"input_size": 1, "condition_size": 1}


def _read_array(keys: Keys) -> tuple[AmpArrayConfig, dict[str, int]]:
    """An array, and the sizes of what must come in."""
    sizes = {name: keys.take(name, int) for name in _SIZES}
    dilations = tuple(keys.numbers("dilations", int))
    one_size = not keys.has("kernel_sizes") or keys.has("kernel_size")
    settings: dict[str, Any] = {
        "dilations": dilations,
        "channels": keys.take("channels", int),
        "bottleneck": keys.take("bottleneck", int, None),
        "kernel_sizes": (keys.take("kernel_size", int),)
        if one_size
        else tuple(keys.numbers("kernel_sizes", int)),
        "activations": tuple(map(_read_activation, keys.one_or_more("activation"))),
        "conv_groups": keys.take("groups_input", int, 1),
        "mixin_groups": keys.take("groups_input_mixin", int, 1),
    }
    settings |= _read_gating(keys) | _read_array_head(keys)
    layer1x1 = keys.object("layer1x1", optional=True)
    if layer1x1 is not None:
        groups = layer1x1.take("groups", int, 1)
        settings["layer1x1_groups"] = groups if layer1x1.take("active", bool) else None
        layer1x1.end()
    head1x1 = keys.object("head1x1", optional=True)
    if head1x1 is not None:
        channels = head1x1.take("out_channels", int, settings["channels"])
        settings["head1x1_groups"] = head1x1.take("groups", int, 1)
        settings["head1x1_channels"] = channels if head1x1.take("active", bool) else None
        head1x1.end()
    for name in FILMS:
        if keys.take(name, object, False) not in (False, None):
            settings[name] = _read_film(keys.object(name))
    # Narrower versions of the model inside it: the file opens at its full size.
    keys.take("slimmable", object, None)
    keys.end()
    return AmpArrayConfig(**settings), sizes


def _read_gating(keys: Keys) -> dict[str, Any]:
    if keys.has("gating_mode"):
        gating = tuple(keys.one_or_more("gating_mode"))
        keys.take("gated", object, None)
    else:
        gating = ("gated" if keys.take("gated", bool, False) else "none",)
    given = keys.one_or_more("secondary_activation", default="Sigmoid")
    # Without a gate it may be null.
    secondary = [_SIGMOID if value is None else _read_activation(value) for value in given]
    return {"gating": gating, "secondary_activations": tuple(secondary)}


def _read_array_head(keys: Keys) -> dict[str, Any]:
    head = keys.object("head", optional=True)
    if head is None:
        return {
            "head_channels": keys.take("head_size", int),
            "head_bias": keys.take("head_bias", bool),
        }
    settings = {
        "head_channels": head.take("out_channels", int),
        "head_kernel_size": head.take("kernel_size", int),
        "head_bias": head.take("bias", bool),
        "head_dilation": head.take("head_dilation", int, 1),
    }
    head.end()
    for older in ("head_size", "head_bias"):  # says the same again
        keys.take(older, object, None)
    return settings


def _read_head(keys: Keys, last: AmpArrayConfig | None) -> AmpHeadConfig:
    head = AmpHeadConfig(
        channels=keys.take("channels", int),
        out_channels=keys.take("out_channels", int),
        kernel_sizes=tuple(keys.numbers("kernel_sizes", int)),
        activation=_read_activation(keys.take("activation", object)),
    )
    in_channels = keys.take("in_channels", int, None)
    if last is not None and in_channels not in (None, last.head_channels):
        raise UserError(
            f"{keys.where} has in_channels {in_channels}, but the last array hands on {last.head_channels}; export "
            "the model again"
        )
    keys.end()
    return head


def _read_film(keys: Keys) -> AmpFiLMConfig | None:
    film = AmpFiLMConfig(shift=keys.take("shift", bool, True), groups=keys.take("groups", int, 1))
    active = keys.take("active", bool, True)
    keys.end()
    return film if active else None


def _read_activation(value: Any) -> AmpActivationConfig:
    keys = Keys({"type": value} if isinstance(value, str) else value, "activation")
    kind = keys.take("type", str)
    if kind not in FUNCTIONS:
        raise UserError(f"activation {kind!r} is unknown; {suggestion(kind, FUNCTIONS)}")
    slopes: Sequence[float] = ()
    limits: Sequence[float] = ()
    if kind in ("LeakyReLU", "PReLU"):
        many = kind == "PReLU" and keys.has("negative_slopes")
        slopes = (
            keys.numbers("negative_slopes", float)
            if many
            else (keys.take("negative_slope", float, 0.01),)
        )
    if kind == "LeakyHardtanh":
        slopes = [keys.take(name, float, 0.01) for name in ("min_slope", "max_slope")]
        limits = [keys.take("min_val", float, -1.0), keys.take("max_val", float, 1.0)]
    keys.end()
    values = {"function": FUNCTIONS[kind], "slopes": slopes, "limits": limits}
    return AmpActivationConfig.from_dict(values)


def _activation(activation: AmpActivationConfig) -> dict[str, Any]:
    kind = next(name for name, ours in FUNCTIONS.items() if ours == activation.function)
    slopes, limits = activation.slopes, activation.limits
    numbers: Mapping[str, Any] = {
        "LeakyReLU": lambda: {"negative_slope": slopes[0]},
        "PReLU": lambda: (
            {"negative_slope": slopes[0]} if len(slopes) == 1 else {"negative_slopes": list(slopes)}
        ),
        "LeakyHardtanh": lambda: {
            "min_val": limits[0],
            "max_val": limits[1],
            "min_slope": slopes[0],
            "max_slope": slopes[1],
        },
    }.get(kind, dict)()
    return {"type": kind, **numbers}


def _flat_array(array: AmpArrayConfig) -> dict[str, Any]:
    return {
        "head_size": array.head_channels,
        "channels": array.channels,
        "kernel_size": array.kernel_sizes[0],
        "dilations": list(array.dilations),
        "activation": _activation(array.activations[0])["type"],
        "gated": array.gating[0] == "gated",
        "head_bias": array.head_bias,
    }


def _array(array: AmpArrayConfig) -> dict[str, Any]:
    films = {name: getattr(array, name) for name in FILMS}
    return {
        "channels": array.channels,
        "bottleneck": array.width,
        "dilations": list(array.dilations),
        "kernel_sizes": list(array.kernel_sizes),
        "activation": [_activation(item) for item in array.activations],
        "gating_mode": list(array.gating),
        "secondary_activation": [_activation(item) for item in array.secondary_activations],
        "groups_input": array.conv_groups,
        "groups_input_mixin": array.mixin_groups,
        "layer1x1": {
            "active": array.layer1x1_groups is not None,
            "groups": array.layer1x1_groups or 1,
        },
        "head1x1": {
            "active": array.head1x1_channels is not None,
            "out_channels": array.head1x1_channels or array.channels,
            "groups": array.head1x1_groups,
        },
        **{
            name: {"active": True, "shift": film.shift, "groups": film.groups}
            for name, film in films.items()
            if film is not None
        },
        "head": {
            "out_channels": array.head_channels,
            "kernel_size": array.head_kernel_size,
            "bias": array.head_bias,
            **({} if array.head_dilation == 1 else {"head_dilation": array.head_dilation}),
        },
    }
