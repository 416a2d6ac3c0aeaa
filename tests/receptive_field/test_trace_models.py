"""Whole models, of wavedil and of other libraries, and what tracing them costs."""

import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from flax import linen, nnx
from jax import lax

import wavedil as wd
from wavedil.nn import DilatedStack
from wavedil.receptive_field import ReceptiveField, trace

PAPER = wd.WaveNetConfig(cycles=3, residual_channels=64, skip_channels=256)


def spec(*shape: int, dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, dtype)


@pytest.fixture(scope="module")
def wavenet() -> wd.WaveNet:
    """30 layers, dilations 1 to 512 three times."""
    return wd.WaveNet(PAPER, rngs=nnx.Rngs(0))


def processor_seconds(run: Callable[[], Any], repeats: int = 3) -> float:
    """The least of several, so that a busy machine does not count."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        taken.append(time.process_time() - start)
    return min(taken)


def test_wavenet_has_the_field_that_it_declares(wavenet: wd.WaveNet) -> None:
    field = trace(wavenet, spec(1, 16384, dtype=jnp.int32))
    assert field.receptive_field == wavenet.receptive_field
    assert field.uniform and field.causal


def test_log_likelihood_of_a_sample_sees_the_sample_too(wavenet: wd.WaveNet) -> None:
    field = trace(wavenet.log_prob, spec(1, 8000, dtype=jnp.int32))
    assert (field.past, field.future) == (wavenet.receptive_field.size, 0)


@pytest.mark.parametrize("num_samples", [100, 5000, 60_000])
def test_forward_pass_in_blocks_of_time_sees_what_the_definition_sees(num_samples: int) -> None:
    """With a gradient, a stack scans over blocks, and each layer hands its last samples on."""
    stack = DilatedStack(3, 4, dilations=(1, 2, 4, 8), cycles=2, rngs=nnx.Rngs(0))
    field = trace(lambda x: jax.vjp(stack, x)[0], spec(1, num_samples, 3))
    assert field.receptive_field == stack.receptive_field
    assert field.uniform and field.causal


def test_gradient_of_a_loss_sees_past_and_future() -> None:
    stack = DilatedStack(3, 4, dilations=(1, 2), rngs=nnx.Rngs(0))
    gradient = jax.grad(lambda x: sum((y**2).sum() for y in stack(x)))
    field = trace(gradient, spec(1, 64, 3))
    assert (field.past, field.future) == (3, 3)


@pytest.mark.long
def test_time_does_not_grow_with_the_signal(wavenet: wd.WaveNet) -> None:
    def traced(num_samples: int) -> Callable[[], Any]:
        return lambda: trace(wavenet, spec(1, num_samples, dtype=jnp.int32))

    short, long = (processor_seconds(traced(n)) for n in (1000, 1_000_000))
    assert long < 2 * short + 0.05


def test_wavenet_is_traced_in_a_blink(wavenet: wd.WaveNet) -> None:
    """0.3 s on one core, with room for a slow machine."""
    assert processor_seconds(lambda: trace(wavenet, spec(1, 16384, dtype=jnp.int32))) < 1.0


def resnet50(x: Any) -> Any:
    """ResNet-50 along one axis, [time, channels], up to its last block; stride in the first 1x1 of a stage's end."""

    def conv(x: Any, size: int, stride: int = 1) -> Any:
        pads = ((size - 1) // 2, size // 2)
        names = ("NTC", "TIO", "NTC")
        kernel = jnp.ones((size, 1, 1))
        return jax.nn.relu(
            lax.conv_general_dilated(x, kernel, (stride,), [pads], dimension_numbers=names)
        )

    x = conv(x, 7, 2)
    x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 1), (1, 2, 1), ((0, 0), (1, 1), (0, 0)))
    # resnet_v1 of TF-slim: a stage's last block has the stride, in its 3-tap convolution.
    for blocks, last_stride in ((3, 2), (4, 2), (6, 2), (3, 1)):
        for block in range(blocks):
            stride = last_stride if block == blocks - 1 else 1
            shortcut = x[:, ::stride]
            x = conv(conv(conv(x, 1), 3, stride), 1) + shortcut
    return x


def test_resnet_50_has_its_published_field() -> None:
    field = trace(resnet50, spec(1, 4096, 1))
    assert (field.size, field.stride) == (483, 32)
    assert processor_seconds(lambda: trace(resnet50, spec(1, 224 * 16, 1))) < 2.0


class Encoder(linen.Module):
    @linen.compact
    def __call__(self, x: Any) -> Any:
        x = linen.relu(linen.Conv(8, (5,), padding="CAUSAL")(x))
        x = linen.max_pool(x, (2,), strides=(2,))
        return linen.LayerNorm()(linen.Conv(8, (3,), padding="CAUSAL", kernel_dilation=2)(x))


def test_linen_model_as_a_function_over_its_parameters() -> None:
    model = Encoder()
    parameters = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 16, 2)))
    parameters = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), parameters)
    field = trace(lambda x: model.apply(parameters, x), spec(1, 1000, 2))
    pool = ReceptiveField.conv(2, stride=2, padding="valid")
    assert field.receptive_field == ReceptiveField.conv(5).then(pool).then(
        ReceptiveField.conv(3, 2)
    )


class LinenLayers(linen.Module):
    """The same convolution twelve times, weights stacked and scanned over."""

    @linen.compact
    def __call__(self, x: Any) -> Any:
        def layer(module: Any, x: Any, _: Any) -> Any:
            return linen.Conv(2, (3,), padding="CAUSAL")(x), None

        scan = linen.scan(layer, {"params": 0}, split_rngs={"params": True}, length=12)
        return scan(self, x, None)[0]


def test_scan_over_layers_adds_them_up() -> None:
    model = LinenLayers()
    parameters = model.init(jax.random.key(0), jnp.zeros((1, 16, 2)))
    field = trace(lambda x: model.apply(parameters, x), spec(1, 1000, 2))
    assert (field.past, field.future) == (24, 0)


class Trained(nnx.Module):
    """In training, its batch statistics and its dropout's counter change while it runs."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.conv = nnx.Conv(2, 2, (3,), padding="CAUSAL", kernel_dilation=2, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.norm = nnx.BatchNorm(2, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        return self.norm(self.dropout(self.conv(x)))


def test_nnx_module_that_changes_its_variables_keeps_them() -> None:
    model = Trained(nnx.Rngs(0))
    before = jax.tree.map(jnp.copy, nnx.state(model.norm))
    assert trace(model, spec(1, 100, 2)).size == float("inf")  # the batch's statistics
    assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), before, nnx.state(model.norm)))
    with pytest.raises(wd.UserError, match=r"nnx\.clone\(model\)"):
        trace(lambda x: model(x), spec(1, 100, 2))
    assert trace(lambda x: nnx.clone(model)(x), spec(1, 100, 2)).size == float("inf")
    assert trace(functools.partial(model), spec(1, 100, 2)).size == float("inf")
    assert trace(model.__call__, spec(1, 100, 2)).size == float("inf")
    model.eval()
    assert trace(lambda x: model(x), spec(1, 100, 2)).taps == (-4, -2, 0)


def test_a_module_that_was_changed_is_traced_anew() -> None:
    norm = nnx.BatchNorm(2, rngs=nnx.Rngs(0))
    sizes = []
    for mode in (norm.eval, norm.train, norm.eval):
        mode()
        sizes.append(trace(norm, spec(1, 24, 2)).size)
    assert sizes == [1, float("inf"), 1]
    conv = nnx.Conv(2, 2, (3,), padding="CAUSAL", rngs=nnx.Rngs(0))
    assert trace(conv, spec(1, 24, 2)).past == 2
    conv.kernel_dilation = (4,)
    assert trace(conv, spec(1, 24, 2)).past == 8


def test_a_function_that_closes_over_what_changes_is_traced_anew() -> None:
    settings = {"delay": 1}

    def delayed(x: Any) -> Any:
        return jnp.roll(x, settings["delay"], 1)[:, 5:]

    assert trace(delayed, spec(1, 24, 2)).taps == (4,)
    settings["delay"] = 3
    assert trace(delayed, spec(1, 24, 2)).taps == (2,)


def test_recurrent_nnx_layer_sees_all_of_the_past() -> None:
    field = trace(nnx.RNN(nnx.GRUCell(2, 3, rngs=nnx.Rngs(0))), spec(1, 50, 2))
    assert (field.past, field.future) == (float("inf"), 0)
    assert field.inputs(9) == tuple(range(10))


def test_attention_sees_everything() -> None:
    attention = nnx.MultiHeadAttention(2, 4, decode=False, rngs=nnx.Rngs(0))
    assert trace(attention, spec(1, 30, 4)).inputs(3) == tuple(range(30))


def test_equinox_module_with_time_last() -> None:
    eqx = pytest.importorskip("equinox")
    conv = eqx.nn.Conv1d(2, 2, 3, padding=1, key=jax.random.key(0))
    field = trace(conv, spec(2, 100), time_axis=-1)
    assert field.taps == (-1, 0, 1)
