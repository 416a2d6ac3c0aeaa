"""Networks put together at random, to hold a tracer against a measurement."""

import dataclasses
import random
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

Network = Callable[[Any], Any]
CHANNELS = 2


@dataclasses.dataclass(frozen=True)
class RandomNetwork:
    """x [1, num_samples, CHANNELS] -> [1, num_outputs, CHANNELS], and what it is made of."""

    run: Network
    parts: tuple[str, ...]
    num_samples: int

    def __str__(self) -> str:
        return f"{self.num_samples} samples: " + ", ".join(self.parts)


def random_network(seed: int) -> RandomNetwork:
    """One network of two to five parts that leaves at least four outputs."""
    draw = random.Random(seed)
    num_samples = draw.choice((24, 32))
    signal = jax.ShapeDtypeStruct((1, num_samples, CHANNELS), jnp.float32)
    layers: list[tuple[Network, str]] = []
    while len(layers) < 2 or (len(layers) < 5 and draw.random() < 0.7):
        layer, name = draw.choice(PARTS)(draw)
        candidate = _chain([*(run for run, _ in layers), layer])
        try:
            length = jax.eval_shape(candidate, signal).shape[1]
        except (TypeError, ValueError):
            continue  # a filter longer than what is left of the signal
        if 4 <= length <= 100:
            layers.append((layer, name))
    if draw.random() < 0.05:  # it sees all there is, whatever follows
        layers.append(_random_recurrence(draw))
    return RandomNetwork(
        run=_chain([run for run, _ in layers]),
        parts=tuple(name for _, name in layers),
        num_samples=num_samples,
    )


def _chain(layers: list[Network]) -> Network:
    def run(x: Any) -> Any:
        for layer in layers:
            x = layer(x)
        return x

    return run


def conv(
    *,
    kernel_size: int,
    padding: tuple[int, int],
    stride: int = 1,
    dilation: int = 1,
    upsampling: int = 1,
    groups: int = 1,
) -> Network:
    kernel = jnp.ones((kernel_size, CHANNELS // groups, CHANNELS))

    def run(x: Any) -> Any:
        return lax.conv_general_dilated(
            x,
            kernel,
            window_strides=(stride,),
            padding=[padding],
            lhs_dilation=(upsampling,),
            rhs_dilation=(dilation,),
            dimension_numbers=("NHC", "HIO", "NHC"),
            feature_group_count=groups,
        )

    return run


def _random_conv(draw: random.Random) -> tuple[Network, str]:
    kernel_size, dilation = draw.randint(1, 4), draw.randint(1, 4)
    stride = draw.choice((1, 1, 1, 2, 3))
    span = (kernel_size - 1) * dilation
    style = draw.choice(("causal", "same", "valid"))
    padding = {"causal": (span, 0), "same": (span // 2, span - span // 2), "valid": (0, 0)}[style]
    groups = draw.choice((1, CHANNELS))
    run = conv(
        kernel_size=kernel_size, padding=padding, stride=stride, dilation=dilation, groups=groups
    )
    return run, f"{style} conv {kernel_size} dilation {dilation} stride {stride}"


def _random_transposed_conv(draw: random.Random) -> tuple[Network, str]:
    upsampling = draw.randint(2, 3)
    # Below it, some outputs see nothing.
    kernel_size = draw.randint(upsampling, upsampling + 2)
    padding = (draw.randint(0, kernel_size - 1), draw.randint(0, kernel_size - 1))
    run = conv(kernel_size=kernel_size, padding=padding, upsampling=upsampling)
    return run, f"transposed conv {kernel_size} by {upsampling} padding {padding}"


def _random_pooling(draw: random.Random) -> tuple[Network, str]:
    window, stride = draw.randint(2, 4), draw.randint(1, 3)
    padding = draw.choice(("SAME", "VALID"))
    kind = draw.choice(("max", "sum"))
    start, combine = (-jnp.inf, lax.max) if kind == "max" else (0.0, lax.add)

    def run(x: Any) -> Any:
        return lax.reduce_window(x, start, combine, (1, window, 1), (1, stride, 1), padding)

    return run, f"{kind} pooling {window} stride {stride} {padding}"


def _random_residual(draw: random.Random) -> tuple[Network, str]:
    """x + f(x); where f takes no padding, x is cropped to what is left, at one of its ends."""
    kernel_size, dilation = draw.randint(2, 3), draw.randint(1, 4)
    span = (kernel_size - 1) * dilation
    style = draw.choice(("causal", "same", "cropped left", "cropped right"))
    padding = {"causal": (span, 0), "same": (span // 2, span - span // 2)}.get(style, (0, 0))
    branch = conv(kernel_size=kernel_size, padding=padding, dilation=dilation)

    def run(x: Any) -> Any:
        y = jnp.tanh(branch(x))
        left = x.shape[1] - y.shape[1] if style == "cropped left" else 0
        return y + x[:, left : left + y.shape[1]]

    return run, f"residual {style} conv {kernel_size} dilation {dilation}"


def _random_branches(draw: random.Random) -> tuple[Network, str]:
    """Two convolutions side by side, joined along channels and mixed."""
    sizes = [(draw.randint(1, 3), draw.randint(1, 4)) for _ in range(2)]
    stride = draw.randint(1, 2)
    branches = [
        conv(kernel_size=k, padding=((k - 1) * d, 0), dilation=d, stride=stride) for k, d in sizes
    ]

    def run(x: Any) -> Any:
        joined = jnp.concatenate([branch(x) for branch in branches], axis=-1)
        return joined @ jnp.ones((2 * CHANNELS, CHANNELS))

    return run, f"branches {sizes} stride {stride}"


def _random_repeat(draw: random.Random) -> tuple[Network, str]:
    factor = draw.randint(2, 3)
    return lambda x: jnp.repeat(x, factor, axis=1), f"repeat {factor}"


def _random_fold(draw: random.Random) -> tuple[Network, str]:
    """Time folded into channels, or channels unfolded into time (sub-pixel upsampling)."""
    if draw.random() < 0.5:

        def unfold(x: Any) -> Any:
            wide = jnp.concatenate([x, 2 * x], axis=-1)
            return wide.reshape(1, 2 * x.shape[1], CHANNELS)

        return unfold, "unfold 2"

    def fold(x: Any) -> Any:
        even = x[:, : x.shape[1] // 2 * 2].reshape(1, x.shape[1] // 2, 2 * CHANNELS)
        return even @ jnp.ones((2 * CHANNELS, CHANNELS))

    return fold, "fold 2"


def _random_pointwise(draw: random.Random) -> tuple[Network, str]:
    name = draw.choice(("tanh", "relu", "layer norm", "gate"))
    functions: dict[str, Network] = {
        "tanh": jnp.tanh,
        "relu": jax.nn.relu,
        "layer norm": lambda x: (x - x.mean(-1, keepdims=True)) / (1 + x.var(-1, keepdims=True)),
        "gate": lambda x: jnp.tanh(x) * jax.nn.sigmoid(x[..., ::-1]),
    }
    return functions[name], name


def _random_crop(draw: random.Random) -> tuple[Network, str]:
    left, right = draw.randint(0, 3), draw.randint(0, 3)
    return lambda x: x[:, left : x.shape[1] - right], f"crop {left} {right}"


def _random_shift(draw: random.Random) -> tuple[Network, str]:
    by = draw.randint(1, 4)
    return lambda x: jnp.pad(x, ((0, 0), (by, 0), (0, 0)))[:, : x.shape[1]], f"delay {by}"


def _random_mirror(draw: random.Random) -> tuple[Network, str]:
    """Padding by reflection, which shows the outputs at the ends what lies on their other side."""
    pads = (0, 0), (draw.randint(0, 3), draw.randint(0, 3)), (0, 0)
    return lambda x: jnp.pad(x, pads, mode="reflect"), f"mirror {pads[1]}"


def _random_circle(draw: random.Random) -> tuple[Network, str]:
    """A convolution that sees the signal's other end at each end."""
    half = draw.randint(1, 2)
    pads = (0, 0), (half, half), (0, 0)
    middle = conv(kernel_size=2 * half + 1, padding=(0, 0))
    return lambda x: middle(jnp.pad(x, pads, mode="wrap")), f"circular conv {2 * half + 1}"


def _random_frames(draw: random.Random) -> tuple[Network, str]:
    """Means of frames, of which those at the ends are moved inside."""
    hop, size = draw.randint(1, 3), draw.randint(2, 4)

    def run(x: Any) -> Any:
        starts = jnp.clip(jnp.arange(x.shape[1] // hop) * hop - size // 2, 0, x.shape[1] - size)
        return x[:, starts[:, None] + jnp.arange(size)].mean(2)

    return run, f"frames {size} every {hop}"


def _random_recurrence(draw: random.Random) -> tuple[Network, str]:
    reverse = draw.random() < 0.3

    def run(x: Any) -> Any:
        def step(y: Any, sample: Any) -> tuple[Any, Any]:
            return (y + sample,) * 2

        start = jnp.zeros_like(x[:, 0])
        return lax.scan(step, start, x.swapaxes(0, 1), reverse=reverse)[1].swapaxes(0, 1)

    return run, "recurrence in reverse" if reverse else "recurrence"


# Convolutions and residual branches are what networks are made of; the rest comes in between.
PARTS = [
    *3 * [_random_conv],
    *2 * [_random_residual],
    _random_transposed_conv,
    _random_pooling,
    _random_branches,
    _random_repeat,
    _random_fold,
    _random_pointwise,
    _random_crop,
    _random_shift,
    _random_mirror,
    _random_circle,
    _random_frames,
]
