"""The contract that every layer and model is put through. A new layer is one line in `LAYERS`."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
from flax import nnx
from jax import lax

from wavedil.mel import MelConfig
from wavedil.models import (
    TCN,
    AmpArrayConfig,
    AmpModel,
    AmpModelConfig,
    ContextStackConfig,
    DiffWave,
    DiffWaveConfig,
    Encoder,
    EncoderConfig,
    FeatureNet,
    FeatureNetConfig,
    LocalConditioningConfig,
    TCNConfig,
    WaveNet,
    WaveNetConfig,
)
from wavedil.models.linear_prediction import guess_of, state_before
from wavedil.nn import (
    AtrousPyramid,
    AtrousWavelet,
    AtrousWaveletSynthesis,
    ContextModule,
    ContextStack,
    Conv1d,
    Conv2d,
    Delayed,
    DepthwiseSeparableBlock,
    DiffusionBlock,
    DilatedStack,
    Downsample,
    FiLM,
    GatedBlock,
    PitchConv1d,
    PitchStack,
    RepeatUpsample,
    Sequential,
    SubPixelUpsample,
    TemporalBlock,
    TemporalConvNet,
)
from wavedil.nn.door import enter_with_context, require_parts
from wavedil.pitch import PitchConfig

BATCH_SIZE = 2
# What comes with the signal, a value for each of its samples.
AT_EVERY_SAMPLE = ("condition", "local", "dilation", "voicing", "predictor")


@dataclasses.dataclass(frozen=True)
class Case:
    """A layer, and how to feed it."""

    make: Callable[[nnx.Rngs], Any]
    channels: int | None = 3
    """Channels of the input; None: codes."""
    frequencies: int | None = None
    """Frequencies of a spectrogram."""
    condition: int | None = None
    """Channels of a condition with a value at every sample."""
    labels: tuple[str, ...] = ()
    local: int | None = None
    """Channels of a WaveNet's local condition, which has a value at every sample too."""
    predictor: int | None = None
    """Coefficients of the linear prediction that it sees."""
    embedding: int | None = None
    """Channels of the embedding of a diffusion step, one for each signal."""
    noise_step: bool = False
    """Whether it is a model that takes the diffusion step of each signal."""
    longest_lag: int | None = None
    """The longest dilation of a layer whose dilation follows the pitch; it is given that one at every sample."""
    dropout: bool = False
    """Whether a dropout key makes a difference."""
    long: bool = False
    """Whether it takes so long that its tests are marked `long`."""

    @functools.cache  # noqa: B019  the cases live as long as the tests
    def layer(self) -> Any:
        return self.make(nnx.Rngs(0))

    @functools.cache  # noqa: B019
    def abstract_layer(self) -> Any:
        """The layer with the shapes and types of its weights in their place, which is made at once."""
        return nnx.eval_shape(lambda: self.make(nnx.Rngs(0)))

    @functools.cached_property
    def call(self) -> Any:
        """The layer as a compiled function of its weights, the signal and what comes with it, one for all tests."""
        graph, _ = nnx.split(self.layer())
        return jax.jit(lambda weights, x, extras: nnx.merge(graph, weights)(x, **extras))

    @functools.cached_property
    def step(self) -> Any:
        """`step` as a compiled function of the weights, the block, the state and what comes with the block."""
        graph, _ = nnx.split(self.layer())
        return jax.jit(
            lambda weights, x, state, extras: nnx.merge(graph, weights).step(x, state, **extras)
        )

    @functools.cached_property
    def weights(self) -> Any:
        return nnx.split(self.layer())[1]

    # Signals are drawn by NumPy: JAX would compile a program for every shape.

    def signal(self, num_samples: int, seed: int = 0, batch_size: int = BATCH_SIZE) -> Any:
        rng = np.random.default_rng(seed)
        if self.channels is None:
            codes = rng.integers(0, 256, (batch_size, num_samples))
            return jnp.asarray(codes, jnp.int32)
        frequencies = () if self.frequencies is None else (self.frequencies,)
        return _normal(rng, batch_size, num_samples, *frequencies, self.channels)

    def extras(self, num_samples: int, batch_size: int = BATCH_SIZE) -> dict[str, Any]:
        """The arguments of the layer beside the signal."""
        extras: dict[str, Any] = {}
        rng = np.random.default_rng(9)
        for name in AT_EVERY_SAMPLE:
            channels = getattr(self, name, None)
            if channels is not None:
                extras[name] = _normal(rng, batch_size, num_samples, channels)
        if self.longest_lag is not None:
            shape = (batch_size, num_samples)
            extras["dilation"] = jnp.asarray(np.full(shape, self.longest_lag), jnp.int32)
            extras["voicing"] = jnp.asarray(rng.uniform(size=shape), jnp.float32)
        if self.embedding is not None:
            extras["embedding"] = _normal(rng, batch_size, 1, self.embedding)
        rows = np.arange(batch_size)
        if self.noise_step:
            extras["noise_step"] = jnp.asarray(rows + 1, jnp.int32)
        if self.labels:
            extras["labels"] = {name: jnp.asarray(rows % 3, jnp.int32) for name in self.labels}
        return extras


def _normal(rng: np.random.Generator, *shape: int) -> Any:
    return jnp.asarray(rng.normal(size=shape), jnp.float32)


def whole(layer: Any, x: Any, extras: dict[str, Any]) -> Any:
    """The outputs on the whole signal."""
    return jax.jit(layer)(x, **extras)


def stream(layer: Any, x: Any, extras: dict[str, Any], blocks: list[int]) -> Any:
    """The outputs of `step` on consecutive blocks, joined."""
    return in_blocks(jax.jit(_step_of(layer)), layer, x, extras, blocks)


def _step_of(layer: Any) -> Callable[[Any, Any, Any], Any]:
    return lambda x, state, extras: layer.step(x, state, **extras)


def in_blocks(
    step: Callable[[Any, Any, Any], Any], layer: Any, x: Any, extras: Any, blocks: list[int]
) -> Any:
    """The outputs of a compiled step of the layer on consecutive blocks, joined."""
    state = layer.init_state(x.shape[0])
    outputs, start = [], 0
    for length in blocks:
        block = slice(start, start + length)
        y, state = step(np.asarray(x)[:, block], state, during(extras, block))
        outputs.append(y)
        start += length
    return jax.tree.map(lambda *parts: np.concatenate(parts, axis=1), *outputs)


def during(extras: dict[str, Any], samples: slice) -> dict[str, Any]:
    """What comes with some of the samples, in NumPy: JAX would compile a program for every slice."""
    return {
        name: np.asarray(value)[:, samples] if name in AT_EVERY_SAMPLE else value
        for name, value in extras.items()
    }


def ending(extras: dict[str, Any], first: int) -> dict[str, Any]:
    """What comes with the samples from the first on."""
    return jax.tree.map(jnp.asarray, during(extras, slice(first, None)))


def initial_state(layer: Any, x: Any) -> Any:
    """The state before a signal."""
    return layer.init_state(x.shape[0], x.dtype)


def of_type(
    case: Case, num_samples: int, dtype: str, weights_dtype: str | None = None
) -> tuple[Any, Any, dict[str, Any]]:
    """The layer, its signal and what it is called with beside that, in a type; the weights perhaps in another."""

    def cast(tree: Any, dtype: str) -> Any:
        return jax.tree.map(
            lambda leaf: leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf,
            tree,
        )

    graph, weights = nnx.split(case.layer())
    signals = case.signal(num_samples), case.extras(num_samples)
    layer = nnx.merge(graph, cast(weights, weights_dtype or dtype))
    return layer, *cast(signals, dtype)


@contextlib.contextmanager
def unchecked() -> Iterator[None]:
    """As for a user: shapes and types are not checked where they are declared, so that our own errors are seen."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


def scanned(
    layer: Any, x: Any, extras: dict[str, Any], length: int, step: Callable[..., Any] | None = None
) -> Any:
    """The outputs of `step`, perhaps a compiled one, in a scan over blocks of a length, joined."""
    if step is None:
        step = _step_of(layer)

    def in_blocks(leaf: Any) -> Any:
        blocks = leaf.reshape(leaf.shape[0], -1, length, *leaf.shape[2:])
        return jnp.moveaxis(blocks, 1, 0)

    same = {name: value for name, value in extras.items() if name not in AT_EVERY_SAMPLE}
    varying = {name: value for name, value in extras.items() if name not in same}
    # A scan refuses a state that comes out of a step in another type than it went in.
    _, blocks = lax.scan(
        lambda state, block: step(block[0], state, block[1] | same)[::-1],
        initial_state(layer, x),
        jax.tree.map(in_blocks, (x, varying)),
    )
    return jax.tree.map(lambda leaf: jnp.concatenate(list(leaf), axis=1), blocks)


def after_embedding(case: Case, x: Any, extras: dict[str, Any]) -> tuple[Callable[[Any], Any], Any]:
    """The layer as a function of floats, and those: of a model of codes, what follows their embedding."""
    layer = case.layer()
    if case.channels is not None:
        return lambda x: layer(x, **extras), x
    if case.predictor is None:
        return lambda embedded: layer.after_entering(embedded, **extras), layer.enter(x)
    given = dict(extras)
    weights = given.pop("predictor")
    before = state_before(len(x), case.predictor, case.longest_lag, jnp.float32)
    pitch = given.get("dilation"), given.get("voicing")

    def both(entered: Any) -> Any:
        # The amplitude of every sample beside its embedding.
        guess, _ = guess_of(entered[..., -1], weights, *pitch, before)
        return layer.after_entering(entered[..., :-1], guess=guess, **given)

    return both, jnp.concatenate([layer.enter(x), layer.amplitudes(x)[..., None]], axis=-1)


def assert_close(actual: Any, expected: Any, rtol: float = 1e-5, atol: float = 1e-5) -> None:
    for a, e in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, e, rtol=rtol, atol=atol)


def loss(y: Any) -> Any:
    """A scalar to which every output contributes its own weight."""
    return sum(
        jnp.sum(part * jnp.cos(jnp.arange(part.size, dtype=part.dtype)).reshape(part.shape))
        for part in jax.tree.leaves(y)
    )


def _conv(**settings: Any) -> Callable[[nnx.Rngs], Any]:
    sizes = {"in_channels": 3, "out_channels": 4, "kernel_size": 3}
    return lambda rngs: Conv1d(**{**sizes, **settings}, rngs=rngs)


def _block(**settings: Any) -> Callable[[nnx.Rngs], Any]:
    return lambda rngs: GatedBlock(3, **{"kernel_size": 2, "dilation": 4, **settings}, rngs=rngs)


def _stack(**settings: Any) -> Callable[[nnx.Rngs], Any]:
    sizes = {"kernel_size": 2, "dilations": (1, 3), "cycles": 2}
    return lambda rngs: DilatedStack(3, 5, **{**sizes, **settings}, rngs=rngs)


def _repeat(**settings: Any) -> Callable[[nnx.Rngs], Any]:
    return lambda rngs: RepeatUpsample(3, 4, **{"factor": 4, **settings}, rngs=rngs)


def _subpixel(**settings: Any) -> Callable[[nnx.Rngs], Any]:
    return lambda rngs: SubPixelUpsample(3, 4, **{"factor": 3, **settings}, rngs=rngs)


def _wavenet(**settings: Any) -> Callable[[nnx.Rngs], Any]:
    sizes = {"dilations": (1, 3), "cycles": 1, "residual_channels": 4, "skip_channels": 8}
    return lambda rngs: WaveNet(WaveNetConfig(**{**sizes, **settings}), rngs=rngs)


def _context(**settings: Any) -> Callable[[nnx.Rngs], Any]:
    sizes = {"factor": 4, "dilations": (1, 2)}
    return lambda rngs: ContextStack(3, 5, 6, **{**sizes, **settings}, rngs=rngs)


def _encoder(**settings: Any) -> Callable[[nnx.Rngs], Any]:
    sizes = {"hop": 4, "latent_size": 2, "channels": 3, "dilations": (1, 3)}
    return lambda rngs: Encoder(EncoderConfig(**{**sizes, **settings}), rngs=rngs)


def _diffwave(rngs: nnx.Rngs) -> DiffWave:
    config = DiffWaveConfig.tiny(dilations=(1, 3), channels=4, labels=_TWO_LABELS)
    model = DiffWave(config, rngs=rngs)
    # It begins with no guess at all.
    model.output.kernel[...] = jnp.ones_like(model.output.kernel[...])
    return model


def _feature_net(rngs: nnx.Rngs) -> FeatureNet:
    sizes = {"num_features": 3, "channels": 4, "skip_channels": 5, "dilations": (1, 3)}
    return FeatureNet(
        FeatureNetConfig.tiny(**sizes, labels=_TWO_LABELS, dropout=0.3, label_dropout=0.3),
        rngs=rngs,
    )


class _FarAndNear(nnx.Module):
    """A stack that sees near, conditioned by one that sees far."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.in_channels = 3
        self.far = ContextStack(3, 4, 2, factor=4, dilations=(1, 2), rngs=rngs)
        self.near = DilatedStack(3, 5, dilations=(1, 3), condition_channels=2, rngs=rngs)
        # The first block is conditioned at its own sample alone; the taps of the second reach further.
        conditioned = self.far.receptive_field.then(self.near.blocks[1].receptive_field)
        self.receptive_field = self.near.receptive_field.union(conditioned)

    def __call__(self, x: Any, *, mask: Any = None, dropout_key: Any = None) -> Any:
        given = {"mask": mask, "dropout_key": dropout_key}
        return self.near(x, self.far(x, **given), **given)

    def valid(self, x: Any, *, mask: Any = None, dropout_key: Any = None) -> Any:
        x, _ = enter_with_context(self, x, mask=mask, dropout_key=dropout_key)
        near = self.near.receptive_field.past + x.shape[1] - self.receptive_field.past
        condition = self.far.valid(x, mask=mask, dropout_key=dropout_key)
        missing = max(0, near - condition.shape[1])
        condition = jnp.pad(condition, ((0, 0), (missing, 0), (0, 0)))[:, -near:]
        mask = None if mask is None else mask[:, x.shape[1] - near :]
        x = x[:, -near:]
        return self.near.valid(x, condition, mask=mask, dropout_key=dropout_key)

    def init_state(self, batch_size: int, dtype: Any = jnp.float32) -> Any:
        return self.far.init_state(batch_size, dtype), self.near.init_state(batch_size, dtype)

    def step(self, x: Any, state: Any) -> Any:
        require_parts(self, state, range(2))
        condition, far = self.far.step(x, state[0])
        y, near = self.near.step(x, state[1], condition)
        return y, (far, near)


def _pyramid(**settings: Any) -> Callable[[nnx.Rngs], Any]:
    sizes = {"dilations": (1, 3), "padding": "causal"}
    return lambda rngs: AtrousPyramid(2, 3, 4, **{**sizes, **settings}, rngs=rngs)


def _scales(**settings: Any) -> Callable[[nnx.Rngs], Any]:
    sizes = {"dilations": (1, 2), "padding": "causal"}
    return lambda rngs: ContextModule(2, **{**sizes, **settings}, rngs=rngs)


def _temporal(**settings: Any) -> Callable[[nnx.Rngs], Any]:
    sizes = {"kernel_size": 3, "dilation": 2}
    return lambda rngs: TemporalBlock(3, 4, **{**sizes, **settings}, rngs=rngs)


def _amp(*arrays: dict[str, Any], **settings: Any) -> Callable[[nnx.Rngs], Any]:
    made = tuple(AmpArrayConfig.from_dict({"channels": 3, **array}) for array in arrays)
    config = AmpModelConfig.from_dict({"arrays": made, "head_scale": 0.5, **settings})
    return lambda rngs: AmpModel(config, rngs=rngs)


def _diffusion(**settings: Any) -> Callable[[nnx.Rngs], Any]:
    return lambda rngs: DiffusionBlock(3, 4, **{"dilation": 2, **settings}, rngs=rngs)


def _tcn(**settings: Any) -> Callable[[nnx.Rngs], Any]:
    return lambda rngs: TemporalConvNet(3, (4, 2), **{"kernel_size": 3, **settings}, rngs=rngs)


_EVERY_AMP_FEATURE = _amp(
    {
        "dilations": (1, 3),
        "kernel_sizes": (3, 2),
        "bottleneck": 2,
        "gating": ("gated", "blended"),
        "activations": ({"function": "softsign"}, {"function": "leaky_relu"}),
        "mixin_groups": 2,
        "head1x1_channels": 4,
        "head1x1_groups": 2,
        "head_channels": 4,
        "head_kernel_size": 2,
        "head_dilation": 2,
        "head_bias": True,
        "conv_pre_film": {},
        "conv_post_film": {"groups": 2},
        "input_mixin_pre_film": {"shift": False, "groups": 2},
        "input_mixin_post_film": {},
        "activation_pre_film": {"shift": False},
        "activation_post_film": {},
        "layer1x1_post_film": {},
        "head1x1_post_film": {"groups": 2},
    },
    {"channels": 4, "dilations": (2,), "conv_groups": 2, "layer1x1_groups": None},
    condition={"arrays": ({"channels": 2, "dilations": (2,), "head_channels": 2},)},
    head={"kernel_sizes": (2,)},
)


def _classifier(rngs: nnx.Rngs) -> TCN:
    sizes = {"channels": 4, "kernel_size": 2, "dilations": (3,), "mean": 0.3, "deviation": 0.5}
    return TCN(TCNConfig(in_channels=3, values=("a", "b"), **sizes), rngs=rngs)


_LOCAL = LocalConditioningConfig(num_features=3, hop=4, channels=5)
# Pitch of at most 10 samples: the newest sample that is seen lies 9 after the one a period before the predicted one.
_PITCH = LocalConditioningConfig(channels=5).of(
    5,
    4,
    MelConfig(num_mels=3, fft_size=64, hop=4).at(16000),
    PitchConfig(lowest_hz=1600, highest_hz=2000).at(16000),
)
_PREDICTION = LocalConditioningConfig(channels=5, linear_prediction=4).of(3, 4, _PITCH.mel)
_PITCH_PREDICTION = dataclasses.replace(_PITCH, linear_prediction=4)
_FAR = ContextStackConfig(factor=4, channels=6, dilations=(1, 2))
_NEAR = ContextStackConfig(factor=3, kernel_size=3, dilations=(2,))
_TWO_LABELS = {"digit": ("0", "1"), "speaker": ("a", "b", "c")}

LAYERS = {
    "conv": Case(_conv()),
    "conv of one tap": Case(_conv(kernel_size=1)),
    "conv dilated": Case(_conv(kernel_size=4, dilation=5, use_bias=False)),
    "conv grouped": Case(lambda r: Conv1d(4, 6, kernel_size=3, groups=2, rngs=r), channels=4),
    "conv of many taps": Case(_conv(kernel_size=20, dilation=2)),
    "conv same": Case(_conv(kernel_size=4, dilation=3, padding="same")),
    "conv depthwise": Case(_conv(out_channels=3, groups=3)),
    "conv over frequencies": Case(
        lambda r: Conv2d(2, 3, num_frequencies=4, kernel_size=3, dilation=(2, 1), rngs=r), 2, 4
    ),
    "context module over frequencies": Case(_scales(widths=(2, 4), num_frequencies=4), 2, 4),
    "pyramid same": Case(_pyramid(padding="same"), 2),
    "pyramid over frequencies": Case(_pyramid(num_frequencies=4), 2, 4),
    "pitch conv": Case(
        lambda r: PitchConv1d(3, 4, longest_lag=7, taps=2, spread=1, rngs=r), longest_lag=7
    ),
    "pitch stack": Case(
        lambda r: PitchStack(
            3,
            5,
            num_blocks=3,
            longest_lag=7,
            kernel_size=3,
            condition_channels=2,
            dropout=0.3,
            rngs=r,
        ),
        condition=2,
        longest_lag=7,
        dropout=True,
    ),
    "film": Case(lambda r: FiLM(3, 2, rngs=r), condition=2),
    "separable block": Case(lambda r: DepthwiseSeparableBlock(3, 6, 4, dilation=2, rngs=r)),
    "downsample": Case(lambda r: Downsample(3, 4, factor=4, kernel_size=6, rngs=r)),
    "downsample and up again": Case(
        lambda r: Sequential(
            Conv1d(3, 3, kernel_size=2, rngs=r),
            Downsample(3, 4, factor=2, kernel_size=3, rngs=r),
            RepeatUpsample(4, 2, factor=2, rngs=r),
        )
    ),
    "gated block": Case(_block(skip_channels=5)),
    "gated block of one tap": Case(
        _block(kernel_size=1, gate_channels=4, gate="identity", dropout=0.3), dropout=True
    ),
    "gated block conditioned": Case(
        _block(kernel_size=3, condition_channels=2, skip_channels=5), condition=2
    ),
    "stack": Case(_stack()),
    "stack of three taps": Case(
        _stack(
            kernel_size=3,
            dilations=(3, 1, 2),
            cycles=1,
            gate_channels=2,
            activation="gelu",
            gate="softsign",
            dropout=0.3,
        ),
        dropout=True,
    ),
    "stack of one tap": Case(_stack(kernel_size=1, cycles=1)),
    "stack conditioned": Case(_stack(condition_channels=2, cycles=1), condition=2),
    "temporal block": Case(_temporal(dropout=0.5), dropout=True),
    "temporal block same": Case(_temporal(kernel_size=2, dilation=3, padding="same", norm="group")),
    "temporal net": Case(_tcn(activation="gated", norm="layer", skip_connections=True)),
    "tcn": Case(_classifier, dropout=True),
    "diffusion block conditioned": Case(
        _diffusion(kernel_size=2, condition_channels=2), embedding=4, condition=2
    ),
    "sequential": Case(
        lambda r: Sequential(
            Conv1d(3, 4, kernel_size=2, dilation=2, rngs=r),
            jax.nn.tanh,
            Conv1d(4, 2, kernel_size=3, rngs=r),
        )
    ),
    "sequential same": Case(
        lambda r: Sequential(
            Conv1d(3, 4, kernel_size=2, dilation=3, rngs=r),
            Conv1d(4, 2, kernel_size=5, padding="same", rngs=r),
        )
    ),
    "delayed sequential": Case(
        lambda r: Delayed(
            Sequential(
                Conv1d(3, 4, kernel_size=4, padding="same", rngs=r),
                jax.nn.tanh,
                Conv1d(4, 2, kernel_size=3, dilation=2, padding="same", rngs=r),
            )
        )
    ),
    "wavelet": Case(lambda _: AtrousWavelet(3, levels=2, wavelet="db2")),
    "wavelet learnable": Case(lambda _: AtrousWavelet(3, levels=2, learnable=True)),
    "wavelet synthesis": Case(
        lambda _: AtrousWaveletSynthesis(2, levels=2, wavelet="db2", learnable=True), channels=6
    ),
    "repeat upsample": Case(_repeat()),
    "repeat upsample of many taps": Case(_repeat(kernel_size=10)),
    "repeat upsample same": Case(_repeat(padding="same")),
    "sub-pixel upsample": Case(_subpixel()),
    "sub-pixel upsample of three taps": Case(_subpixel(kernel_size=3)),
    "sub-pixel upsample same": Case(_subpixel(kernel_size=3, padding="same")),
    "sequential upsampling": Case(
        lambda r: Sequential(
            Conv1d(3, 4, kernel_size=2, rngs=r),
            SubPixelUpsample(4, 3, factor=2, rngs=r),
            RepeatUpsample(3, 2, factor=3, rngs=r),
        )
    ),
    "context stack": Case(_context()),
    "context stack of three taps": Case(_context(factor=3, kernel_size=3, dilations=(1,))),
    "context stack at the sample rate": Case(_context(factor=1)),
    "stack conditioned by a context stack": Case(_FarAndNear),
    "encoder": Case(_encoder(), channels=1),
    "encoder of two taps": Case(_encoder(kernel_size=2, hop=3, cycles=2), channels=1),
    "amp": Case(
        _amp(
            {"dilations": (2,), "head_channels": 2},
            {"channels": 2, "dilations": (3,), "head_bias": True},
        ),
        channels=1,
    ),
    "amp of every feature": Case(_EVERY_AMP_FEATURE, channels=1, long=True),
    "diffwave": Case(_diffwave, channels=1, labels=tuple(_TWO_LABELS), noise_step=True),
    "feature net": Case(_feature_net, labels=tuple(_TWO_LABELS), dropout=True),
    "wavenet": Case(_wavenet(cycles=2), channels=None),
    "wavenet scalar": Case(
        _wavenet(input="scalar", kernel_size=3, gate_channels=5, dropout=0.3),
        channels=None,
        dropout=True,
    ),
    "wavenet gaussian": Case(_wavenet(output="gaussian", num_components=2), channels=None),
    "wavenet labelled": Case(
        _wavenet(labels=_TWO_LABELS), channels=None, labels=tuple(_TWO_LABELS)
    ),
    "wavenet with features and labels": Case(
        _wavenet(local_conditioning=_LOCAL, labels=_TWO_LABELS),
        channels=None,
        labels=tuple(_TWO_LABELS),
        local=_LOCAL.channels,
    ),
    "wavenet with pitch at its input": Case(
        _wavenet(local_conditioning=_PITCH),
        channels=None,
        local=_PITCH.channels,
        longest_lag=9,
    ),
    "wavenet with linear prediction": Case(
        _wavenet(local_conditioning=_PREDICTION),
        channels=None,
        local=_PREDICTION.channels,
        predictor=4,
    ),
    "wavenet with linear prediction and pitch": Case(
        _wavenet(local_conditioning=_PITCH_PREDICTION),
        channels=None,
        local=_PITCH.channels,
        predictor=4,
        longest_lag=9,
    ),
    "wavenet with context": Case(_wavenet(context_stack=_FAR), channels=None, long=True),
    "wavenet with context and labels": Case(
        _wavenet(context_stack=_FAR, labels=_TWO_LABELS),
        channels=None,
        labels=tuple(_TWO_LABELS),
        long=True,
    ),
    "wavenet with context and features": Case(
        _wavenet(context_stack=_FAR, local_conditioning=_LOCAL),
        channels=None,
        local=_LOCAL.channels,
        long=True,
    ),
    "wavenet of one layer with context": Case(
        _wavenet(context_stack=_NEAR, dilations=(1,), input="scalar"), channels=None
    ),
    "wavenet of one layer with context and features": Case(
        _wavenet(context_stack=_NEAR, local_conditioning=_LOCAL, dilations=(1,)),
        channels=None,
        local=_LOCAL.channels,
    ),
}
CAUSAL = {
    name: case for name, case in LAYERS.items() if case.abstract_layer().receptive_field.future <= 0
}

# Layers whose numbers are compared where those of all would take long, and not their types alone: compiling is what
# costs.
COMPILED = [
    *("conv grouped", "conv of many taps", "gated block conditioned", "stack conditioned"),
    *("repeat upsample", "context stack", "wavenet with features and labels"),
]
