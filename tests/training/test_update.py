"""One step of training: what counts, what is clipped, what is averaged, and that it compiles once."""

import ctypes
import dataclasses
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import training_runs as runs
from flax import nnx

from wavedil.data import Batch
from wavedil.frames import BEYOND
from wavedil.models import WaveNet
from wavedil.training import initial_state, learning_rate, make_update

CONFIG = runs.run_config(warmup_steps=0)
MODEL, SETTINGS = CONFIG.model, CONFIG.training
BATCH_SIZE, WINDOW_SIZE = 2, 24


@pytest.fixture(scope="module")
def update():
    return make_update(CONFIG)


@pytest.fixture
def compilations():
    """What XLA has compiled since, by name of the event."""
    events = []

    def note(event, *_, **__):
        if "backend_compile" in event:
            events.append(event)

    jax.monitoring.register_event_duration_secs_listener(note)
    yield events
    jax.monitoring.unregister_event_duration_listener(note)


def state():
    return initial_state(CONFIG)


def batch(seed=0, mask=None):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, runs.LEVELS, (BATCH_SIZE, WINDOW_SIZE + 1)).astype(np.int32)
    context, codes = codes[:, :1], codes[:, 1:]
    return Batch(codes if mask is None else np.where(mask, codes, BEYOND), context, {})


def bits(metrics):
    """Bits per counted sample."""
    total, weight = metrics.named["bits"]
    return float(total) / float(weight)


def log_prob(batch):
    """Of the initial model, by its own method."""
    model = WaveNet(MODEL, rngs=nnx.Rngs(SETTINGS.seed))
    codes, context = jnp.asarray(batch.codes), jnp.asarray(batch.context)
    predict = nnx.jit(lambda model: model.log_prob(codes, context=context))
    return np.asarray(predict(model))


def test_the_loss_is_the_mean_over_the_targets_that_count(update):
    mask = np.ones((BATCH_SIZE, WINDOW_SIZE), bool)
    mask[0, 9:] = False
    mask[1, 20:] = False
    now = batch(mask=mask)
    _, metrics = update(state(), now)
    expected = -np.mean(log_prob(now)[mask]) / np.log(2)
    np.testing.assert_allclose(bits(metrics), expected, rtol=1e-5)
    np.testing.assert_allclose(metrics.loss, expected * np.log(2), rtol=1e-5)
    assert float(metrics.weight) == mask.sum()


def test_samples_beyond_a_recording_change_nothing_and_one_that_counts_does(update):
    mask = np.ones((BATCH_SIZE, WINDOW_SIZE), bool)
    mask[:, 15:] = False
    now = batch(mask=mask)
    short = Batch(now.codes[:, :15], now.context, {})
    (one, metrics), (two, other) = update(state(), now), update(state(), short)
    np.testing.assert_allclose(bits(metrics), bits(other), rtol=1e-6)
    assert float(metrics.weight) == float(other.weight) == mask.sum()
    for a, b in zip(one.weights.values(), two.weights.values(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    now.codes[0, 14] = (now.codes[0, 14] + 1) % runs.LEVELS
    assert bits(update(state(), now)[1]) != bits(metrics)


def test_a_batch_in_which_nothing_counts_has_no_gradient(update):
    nothing = np.zeros((BATCH_SIZE, WINDOW_SIZE), bool)
    _, metrics = update(state(), batch(mask=nothing))
    assert (float(metrics.loss), float(metrics.gradient_norm)) == (0, 0)


def test_the_gradient_norm_is_reported_before_clipping_and_the_update_is_clipped():
    limit = 1e-3
    update = make_update(runs.run_config(clip_norm=limit, warmup_steps=0))
    now = batch()

    def loss(model):
        codes, context = jnp.asarray(now.codes), jnp.asarray(now.context)
        return -jnp.mean(model.log_prob(codes, context=context))

    gradients = nnx.jit(nnx.grad(loss))(WaveNet(MODEL, rngs=nnx.Rngs(SETTINGS.seed)))
    leaves = jax.tree.leaves(gradients)
    norm = np.sqrt(sum(np.sum(np.square(leaf, dtype=np.float64)) for leaf in leaves))
    assert norm > 10 * limit

    new, metrics = update(state(), now)
    np.testing.assert_allclose(metrics.gradient_norm, norm, rtol=1e-4)
    (moments,) = [part for part in jax.tree.leaves(new.optimizer, is_leaf=is_adam) if is_adam(part)]
    # Adam's first moment after one step is a tenth of the gradient it was given.
    np.testing.assert_allclose(optax.tree.norm(moments.mu), 0.1 * limit, rtol=1e-4)


def is_adam(part):
    return isinstance(part, optax.ScaleByAdamState)


def test_the_average_follows_the_weights_and_faster_at_first(update):
    now = state()
    averaged = jax.tree.map(np.array, now.averaged)
    for step in range(4):
        now, _ = update(now, batch(seed=step))
        decay = min(SETTINGS.ema_decay, (1 + step) / (10 + step))
        averaged = jax.tree.map(
            lambda old, new, decay=decay: decay * old + (1 - decay) * np.asarray(new),
            averaged,
            now.weights,
        )
    for name, value in now.averaged.items():
        np.testing.assert_allclose(value, averaged[name], rtol=1e-5, atol=1e-7, err_msg=name)
    assert not np.array_equal(now.averaged["output.bias"], now.weights["output.bias"])


def test_biases_do_not_decay_and_kernels_do():
    config = runs.run_config(warmup_steps=0, weight_decay=0.5, learning_rate=0.1)
    nothing = batch(mask=np.zeros((BATCH_SIZE, WINDOW_SIZE), np.float32))
    before = jax.tree.map(lambda weight: np.asarray(weight) + 1, state().weights)
    start = state()._replace(weights=jax.tree.map(jnp.asarray, before))
    after, _ = make_update(config)(start, nothing)
    for name, weight in after.weights.items():
        kept = 1.0 if weight.ndim == 1 else 1 - 0.1 * 0.5
        np.testing.assert_allclose(weight, kept * before[name], rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("steps", [1, 5, 400])
def test_the_learning_rate_rises_to_its_peak_and_ends_at_a_hundredth(steps):
    settings = runs.run_config(steps=steps, warmup_steps=20, learning_rate=0.5).training
    schedule = learning_rate(settings)
    rates = np.array([float(schedule(step)) for step in range(steps + 1)])
    np.testing.assert_allclose(rates.max(), 0.5, rtol=1e-6)
    np.testing.assert_allclose(rates[-1], 0.005, rtol=1e-4)
    peak = int(rates.argmax())
    assert peak <= 20
    assert np.all(np.diff(rates[: peak + 1]) > 0)
    assert np.all(np.diff(rates[peak:]) < 0)
    assert rates[0] == pytest.approx(0.5 / (peak + 1), rel=1e-5)  # no step is for nothing


def test_a_step_compiles_once_from_a_new_state_and_at_most_once_more_from_a_restored_one(
    tmp_path, compilations
):
    update = make_update(CONFIG)
    now, batches = state(), [batch(seed=step) for step in range(7)]
    compilations.clear()
    for step in range(3):
        now, _ = update(now, batches[step])
    assert len(compilations) == 1

    checkpoints = runs.Checkpoints(tmp_path)
    checkpoints.save(now)
    restored = checkpoints.restore_newest(jax.eval_shape(state), runs.fail)
    checkpoints.close()
    restored, _ = update(restored, batches[3])
    compilations.clear()
    for step in range(4, 7):
        restored, _ = update(restored, batches[step])
    assert not compilations


@pytest.mark.skipif(sys.platform != "linux", reason="the C library of Linux keeps what was freed")
def test_what_the_compiler_took_is_given_back_before_the_step_has_its_arrays():
    """1,000 arrays that were freed below one that is kept stand for the compiler's."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    freed = [libc.malloc(2**16) for _ in range(1000)]
    for address in freed:
        ctypes.memset(address, 1, 2**16)
    kept = libc.malloc(2**16)
    for address in freed:
        libc.free(address)
    before = _resident()
    make_update(CONFIG)(state(), batch())
    libc.free(kept)
    assert before - _resident() > 40 * 2**20


def _resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def test_a_step_takes_over_the_memory_of_its_state(update):
    old = state()
    update(old, batch())
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(old))


def test_steps_depend_on_nothing_but_state_and_batch(update):
    one, _ = update(state(), batch())
    two, _ = update(state(), batch())
    runs.assert_equal_states(one, two)


def test_muon_moves_hidden_kernels_alike_in_all_directions():
    settings = dataclasses.replace(SETTINGS, optimizer="muon", weight_decay=0.0)
    config = dataclasses.replace(CONFIG, training=settings)
    before = initial_state(config)
    old = jax.tree.map(np.array, before.weights)
    after, _ = make_update(config)(before, batch())
    moved = {name: np.array(after.weights[name]) - old[name] for name in old}
    assert all(np.any(change) for name, change in moved.items() if "residual" not in name)
    for name in ("hidden.kernel", "stack.blocks.0.conv.kernel", "stack.skip_kernel"):
        change = moved[name].reshape(-1, moved[name].shape[-1])
        strengths = np.linalg.svd(change, compute_uv=False)
        # Five Newton-Schulz steps bring every singular value near 1; a gradient's spread over decades.
        assert strengths[-1] > 0.4 * strengths[0], name
        # As large as an update of Adam, which moves a weight by about 0.2 learning rates.
        rms = np.sqrt(np.mean(change**2)) / settings.learning_rate
        assert 0.1 < rms < 0.3, name


@pytest.mark.parametrize("remat", [False, True])
def test_a_step_computes_activations_again_where_that_is_asked_for(remat):
    """And nowhere else; the barrier is what keeps the compiler from keeping them."""
    update = make_update(runs.run_config(warmup_steps=0, remat=remat))
    text = update.lower(jax.eval_shape(state), batch()).as_text()
    assert ("optimization_barrier" in text) == remat


def test_in_bfloat16_the_step_computes_and_the_weights_that_are_trained_stay_float32(update):
    # So small a step that a weight of bfloat16 would not move.
    config = runs.run_config(warmup_steps=0, precision="bfloat16", learning_rate=1e-5)
    lowered = make_update(config).lower(state(), batch())
    products = [line for line in lowered.as_text().splitlines() if "dot_general" in line]
    assert products and all("bf16" in line for line in products)
    before = jax.tree.map(np.array, state().weights)
    after, metrics = lowered.compile()(state(), batch())
    dtypes = {leaf.dtype for leaf in jax.tree.leaves((after, metrics)) if leaf.ndim}
    assert dtypes == {np.dtype("float32")}
    assert not np.array_equal(after.weights["hidden.kernel"], before["hidden.kernel"])
    _, expected = update(state(), batch())
    assert metrics.loss.dtype == np.float32
    np.testing.assert_allclose(metrics.loss, expected.loss, rtol=1e-2)
    assert float(metrics.loss) != float(expected.loss)
