"""Weights in PyTorch's names and layouts, both ways, and the same numbers there and here."""

import contextlib
import re

import jax
import numpy as np
import pytest
from contract import LAYERS, Case
from flax import nnx

import wavedil as wd
from wavedil.models import named_weights, with_weights

X = jax.random.normal(jax.random.key(0), (2, 40, 4))


def assert_equal(actual, expected):
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], value, err_msg=name)


def conv(**settings):
    settings = {"kernel_size": 3} | settings
    return wd.nn.Conv1d(4, 6, **settings, rngs=nnx.Rngs(0))


def random_state(layer, seed=1):
    rng = np.random.default_rng(seed)
    state = wd.formats.torch.state_dict(layer)
    return {name: rng.normal(size=v.shape).astype(np.float32) for name, v in state.items()}


def theirs_of(x):
    """A signal as PyTorch has it, time last."""
    return pytest.importorskip("torch").from_numpy(np.array(x.transpose(0, 2, 1)))


def norm(weight):
    return np.sqrt(np.square(weight).sum((1, 2), keepdims=True))


@pytest.mark.parametrize("case", LAYERS.values(), ids=LAYERS)
def test_every_layer_gets_the_weights_back_that_it_gave(case: Case):
    rng = np.random.default_rng(0)
    layer = case.abstract_layer()
    weights = {name: rng.normal(size=w.shape) for name, w in named_weights(layer).items()}
    weights = {name: weight.astype(np.float32) for name, weight in weights.items()}
    state = wd.formats.torch.state_dict(with_weights(layer, weights, "test"))
    # A weight whose normalisation is multiplied out comes back with its own norm as its gain.
    again = named_weights(wd.formats.torch.load(layer, state))
    assert again.keys() == weights.keys()
    for name, weight in weights.items():
        stem = name.removesuffix("kernel")
        if stem != name and f"{stem}gain" in weights:
            direction = weight / np.sqrt(np.square(weight).sum((0, 1)))
            weight = weights[f"{stem}gain"] * direction
            np.testing.assert_allclose(again[name], weight, rtol=1e-5, atol=1e-6)
        elif name.endswith("gain"):
            np.testing.assert_allclose(again[name], abs(weight), rtol=1e-5)
        else:
            np.testing.assert_array_equal(again[name], weight)


def test_a_layer_that_gets_weights_is_another_and_their_types_are_kept():
    layer, before = conv(), named_weights(conv())
    state = {name: value.astype(np.float16) for name, value in random_state(layer).items()}
    loaded = wd.formats.torch.load(layer, state)
    assert_equal(named_weights(layer), before)
    assert {value.dtype for value in named_weights(loaded).values()} == {np.dtype(np.float16)}


@pytest.mark.parametrize("dim", [0, 1, 2, None])
@pytest.mark.parametrize("kind", ["weight_norm", "parametrizations.weight_norm"])
def test_weight_normalisation_of_both_kinds_goes_into_plain_layers_and_back(kind, dim):
    torch = pytest.importorskip("torch")
    normalised = {
        "weight_norm": torch.nn.utils.weight_norm,
        "parametrizations.weight_norm": torch.nn.utils.parametrizations.weight_norm,
    }[kind]
    with pytest.warns() if kind == "weight_norm" else contextlib.nullcontext():
        module = normalised(torch.nn.Conv1d(4, 6, 3), dim=dim)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(1.7).add_(0.1)
    x = theirs_of(X)
    expected = module(x).detach().numpy().transpose(0, 2, 1)
    ours = wd.formats.torch.load(conv(), module.state_dict())
    np.testing.assert_allclose(ours.valid(X), expected, rtol=1e-5, atol=1e-5)
    back = wd.formats.torch.state_dict(ours, like=module.state_dict())
    module.load_state_dict({name: torch.from_numpy(value) for name, value in back.items()})
    again = module(x).detach().numpy().transpose(0, 2, 1)
    np.testing.assert_allclose(again, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("gain", "direction"),
    [
        ("weight_g", "weight_v"),
        ("parametrizations.weight.original0", "parametrizations.weight.original1"),
    ],
)
def test_a_layer_with_weight_normalisation_keeps_gain_and_direction_exactly(gain, direction):
    layer = conv(weight_norm=True)
    rng = np.random.default_rng(2)
    state = {gain: rng.normal(size=(6, 1, 1)), direction: rng.normal(size=(6, 4, 3))}
    state = {name: value.astype(np.float32) for name, value in state.items()} | {
        "bias": np.ones(6, np.float32)
    }
    loaded = wd.formats.torch.load(layer, state)
    assert_equal(wd.formats.torch.state_dict(loaded, like=state), state)
    plain = wd.formats.torch.state_dict(loaded)
    expected = state[gain] * state[direction] / norm(state[direction])
    np.testing.assert_allclose(plain["weight"], expected, rtol=1e-5)
    np.testing.assert_allclose(
        wd.formats.torch.load(conv(), plain)(X), loaded(X), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("padding", ["causal", "same"])
@pytest.mark.parametrize(
    "settings",
    [
        {"kernel_size": 1, "bias": False},
        {"kernel_size": 3, "dilation": 4},
        {"kernel_size": 4, "dilation": 3, "groups": 2},
    ],
    ids=str,
)
def test_a_convolution_has_torchs_outputs_and_gives_its_weights_back(settings, padding):
    torch = pytest.importorskip("torch")
    padded = {"padding": "same"} if padding == "same" else {}
    with contextlib.ExitStack() as stack:
        if padding == "same" and settings["kernel_size"] == 4:
            stack.enter_context(pytest.warns(UserWarning, match="even kernel"))
        module = torch.nn.Conv1d(4, 6, **settings, **padded)
        past = (settings["kernel_size"] - 1) * settings.get("dilation", 1)
        x = theirs_of(X)
        if padding == "causal":
            x = torch.nn.functional.pad(x, (past, 0))
        expected = module(x).detach().numpy().transpose(0, 2, 1)
    settings = {"use_bias" if name == "bias" else name: value for name, value in settings.items()}
    state = {name: value.numpy() for name, value in module.state_dict().items()}
    ours = wd.formats.torch.load(conv(padding=padding, **settings), state)
    np.testing.assert_allclose(ours(X), expected, rtol=1e-5, atol=1e-5)
    assert_equal(wd.formats.torch.state_dict(ours), state)


def test_a_gated_block_of_torch_modules_has_the_same_outputs_by_the_same_names():
    torch = pytest.importorskip("torch")

    class Block(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv1d(4, 8, 2, dilation=3)
            self.residual = torch.nn.Conv1d(4, 4, 1)
            self.skip = torch.nn.Conv1d(4, 5, 1)
            self.condition = torch.nn.Conv1d(2, 8, 1, bias=False)

        def forward(self, x, condition):
            both = self.conv(torch.nn.functional.pad(x, (3, 0))) + self.condition(condition)
            filtered, gate = both.chunk(2, dim=1)
            gated = torch.tanh(filtered) * torch.sigmoid(gate)
            return x + self.residual(gated), self.skip(gated)

    theirs = Block()
    ours = wd.nn.GatedBlock(4, 5, kernel_size=2, dilation=3, condition_channels=2, rngs=nnx.Rngs(0))
    condition = jax.random.normal(jax.random.key(1), (2, 40, 2))
    ours = wd.formats.torch.load(ours, theirs.state_dict())
    for actual, expected in zip(
        jax.tree.map(np.asarray, ours(X, condition)),
        theirs(theirs_of(X), theirs_of(condition)),
        strict=True,
    ):
        expected = expected.detach().numpy().transpose(0, 2, 1)
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)
    state = wd.formats.torch.state_dict(ours)
    theirs.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})


def without(state, name):
    return {key: value for key, value in state.items() if key != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: without(s, "bias"), "no bias, .*use_bias=False"),
        (lambda s: s | {"running_mean": s["bias"]}, "have running_mean, .*leave them out"),
        (
            lambda s: {f"net.0.{name}": value for name, value in s.items()},
            "no bias, weight, but net.0.bias, net.0.weight; give each the name",
        ),
        (lambda s: s | {"weight": s["weight"].T}, r"\(3, 4, 6\).* needs \(6, 4, 3\).*sizes"),
        (lambda s: s | {"bias": s["bias"][:5]}, r"bias has shape \(5,\).* needs \(6,\)"),
        (lambda s: s | {"bias": np.arange(6)}, "bias is of type int64"),
        (lambda s: s | {"bias": [1.0, [2.0]]}, "bias is no NumPy array.*cpu"),
        (lambda s: s | {"bias": s["bias"] * np.nan}, "bias holds numbers that are not finite"),
        (lambda s: s | {"weight": s["weight"] + np.inf}, "weight holds numbers .* not finite"),
        (lambda s: s | {1: s["bias"]}, r"state has the key 1, .*such as '0.weight'"),
        (list, r"state is of type list, .*by name; give module.state_dict\(\)"),
        (lambda s: None, "state is of type NoneType, but it must hold arrays"),
        (
            lambda s: without(s, "weight") | {"weight_g": norm(s["weight"])},
            "no weight, but weight_g",
        ),
        (
            lambda s: without(s, "weight") | {"weight_g": s["bias"], "weight_v": s["weight"]},
            r"weight_g has shape \(6,\).* needs \(6, 1, 1\)",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named_with_the_remedy(change, message):
    layer = conv()
    with pytest.raises(wd.UserError, match=message) as refused:
        wd.formats.torch.load(layer, change(random_state(layer)))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("pair", [("weight_g", "weight_v"), ("weight",)], ids=" ".join)
@pytest.mark.parametrize("normalised", [False, True])
def test_a_norm_of_zero_is_refused_by_name_where_it_is_divided_by(pair, normalised):
    layer = conv(weight_norm=normalised)
    state = {pair[0]: np.ones((6, 1, 1), np.float32), "bias": np.ones(6, np.float32)}
    state[pair[-1]] = np.ones((6, 4, 3), np.float32)
    state[pair[-1]][2] = 0
    if len(pair) == 1 and not normalised:
        assert not np.asarray(wd.formats.torch.load(layer, state).kernel[...])[..., 2].any()
        return
    with pytest.raises(wd.UserError, match=f"weight {pair[-1]} has a norm of 0"):
        wd.formats.torch.load(layer, state)


@pytest.mark.parametrize("normalised", [False, True])
def test_a_layer_whose_norm_is_zero_is_not_written_as_one_with_weight_normalisation(normalised):
    layer = conv(weight_norm=normalised)
    like = {
        "weight_g": np.ones((6, 1, 1), np.float32),
        "weight_v": np.ones((6, 4, 3), np.float32),
        "bias": np.ones(6, np.float32),
    }
    layer.kernel[...] *= 0
    with pytest.raises(wd.UserError, match=r"weight kernel has a norm of 0.* trained model"):
        wd.formats.torch.state_dict(layer, like)


def test_a_long_list_of_names_is_cut_short():
    layer = LAYERS["stack"].layer()
    with pytest.raises(wd.UserError, match=re.escape("and 12 more")) as refused:
        wd.formats.torch.load(layer, {})
    assert len(str(refused.value)) < 400


def test_a_torch_weight_that_numpy_cannot_hold_is_named_with_the_remedy():
    torch = pytest.importorskip("torch")
    module = torch.nn.Conv1d(4, 6, 3)
    for state in (module.to(torch.bfloat16).state_dict(), dict(module.named_parameters())):
        with pytest.raises(wd.UserError, match=r"weight is no NumPy array.*float\(\)\.cpu"):
            wd.formats.torch.load(conv(), state)


def test_weights_go_back_to_the_names_of_the_module_alone():
    with pytest.raises(wd.UserError, match="no bias"):
        wd.formats.torch.state_dict(conv(), like=without(random_state(conv()), "bias"))
    with pytest.raises(wd.UserError, match="like is of type list"):
        wd.formats.torch.state_dict(conv(), ["k"])
