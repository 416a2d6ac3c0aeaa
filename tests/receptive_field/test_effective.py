"""The effective field is the gradient energy per offset, and is drawn in the structural field."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

import wavedil as wd
from wavedil.receptive_field import EffectiveField, ReceptiveField, effective
from wavedil.report.effective_field_picture import draw_effective_field

NOISE = jax.random.normal(jax.random.key(0), (2, 64, 1))


def convolve(x: Any, kernel: Any, padding: tuple[int, int], **settings: Any) -> Any:
    return lax.conv_general_dilated(
        x, kernel, padding=[padding], dimension_numbers=("NHC", "HIO", "NHC"), **settings
    )


def test_energy_of_a_convolution_is_that_of_its_taps() -> None:
    taps = jnp.array([1.0, -2.0, 0.0, 4.0])
    field = effective(lambda x: convolve(x, taps[:, None, None], (3, 0), window_strides=[1]), NOISE)
    np.testing.assert_allclose(field.energy, np.array([1, 4, 0, 16]) / 21, rtol=1e-6)
    assert field.receptive_field == ReceptiveField.conv(4)
    assert list(field.offsets) == [-3, -2, -1, 0]


def test_energy_of_several_channels_is_summed_in_the_mean() -> None:
    kernel = jax.random.normal(jax.random.key(1), (3, 2, 8))
    x = jax.random.normal(jax.random.key(2), (64, 40, 2))
    field = effective(lambda x: convolve(x, kernel, (1, 1), window_strides=[1]), x)
    expected = np.square(np.asarray(kernel)).sum(axis=(1, 2))
    # 64 signals and 32 outputs draw the random signs.
    np.testing.assert_allclose(field.energy, expected / expected.sum(), rtol=0.05)


def test_offsets_count_from_the_inputs_of_a_strided_output() -> None:
    kernel = jnp.array([1.0, 3.0])[:, None, None]
    down = effective(lambda x: convolve(x, kernel, (0, 0), window_strides=[2]), NOISE)
    np.testing.assert_allclose(down.energy, [0.1, 0.9], rtol=1e-6)
    up = effective(
        lambda x: convolve(jnp.repeat(x, 2, 1), kernel, (1, 0), window_strides=[1]), NOISE
    )
    # At even outputs 1 comes from the input before and 3 from its own; at odd ones 4 from its own.
    np.testing.assert_allclose(up.energy, np.array([1, 9 + 16]) / 26, rtol=0.1)


def test_time_may_be_any_axis() -> None:
    kernel = jnp.array([1.0, 3.0])[:, None, None]
    field = effective(
        lambda x: convolve(x.mT, kernel, (1, 0), window_strides=[1])[..., 0],
        NOISE.mT,
        time_axis=-1,
        output_time_axis=1,
    )
    np.testing.assert_allclose(field.energy, [0.1, 0.9], rtol=1e-6)


def test_share_is_counted_from_the_output_to_both_sides() -> None:
    energy = np.array([0.05, 0.0, 0.6, 0.3, 0.05])
    field = EffectiveField(energy, ReceptiveField(past=2, future=2), 1)
    assert [field.within(share) for share in (0.5, 0.9, 0.99)] == [0, 1, 2]
    assert "50% within 0, 90% within 1, 99% within 2 samples" in str(field)


def test_a_field_without_bound_is_measured_at_the_offsets_asked_for() -> None:
    def leaky_sum(x: Any) -> Any:
        def step(carry: Any, x: Any) -> Any:
            carry = 0.5 * carry + x
            return carry, carry

        return lax.scan(step, jnp.zeros_like(x[:, 0]), x.swapaxes(0, 1))[1].swapaxes(0, 1)

    field = effective(leaky_sum, NOISE, receptive_field=ReceptiveField(past=6))
    powers = 0.25 ** np.arange(6, -1, -1)
    np.testing.assert_allclose(field.energy, powers / powers.sum(), rtol=1e-5)


def test_a_deep_network_uses_less_than_it_sees() -> None:
    def stack(x: Any) -> Any:
        for layer in range(12):
            kernel = jax.random.normal(jax.random.key(layer), (3, 1, 1))
            x = convolve(x, kernel, (1, 1), window_strides=[1])
        return x

    field = effective(stack, NOISE)
    assert field.receptive_field.size == 25
    # Luo et al., section 2: the field of a deep stack is a bell as wide as the root of its depth.
    assert field.within(0.9) < 9


@pytest.mark.parametrize(
    ("fn", "x", "settings", "words"),
    [
        (jnp.sin, jnp.ones((1, 8), int), {}, "int32, which has no gradient"),
        (lambda x: x[:, 6:] + x[:, :-6], jnp.ones((1, 6)), {}, "0"),
        (jnp.sin, jnp.ones((1, 8)), {"receptive_field": ReceptiveField(9)}, "use a longer signal"),
        (lambda x: 0 * x, jnp.ones((1, 8)), {}, "the gradients are all zero"),
        (jnp.log, jnp.zeros((1, 8)), {}, "the gradients are not finite"),
        (lambda x: jnp.cumsum(x, 1), jnp.ones((1, 8)), {}, "no finite receptive field"),
        (jnp.sin, jnp.ones((1, 8)), {"num_outputs": 0}, "number of outputs is 0"),
        (lambda x: (x, x), jnp.ones((1, 8)), {}, "answers with 2 arrays"),
        (jnp.sin, jnp.ones((1, 8)), {"time_axis": 2}, "time_axis is 2"),
    ],
)
def test_what_has_no_answer_is_refused(fn: Any, x: Any, settings: Any, words: str) -> None:
    with pytest.raises(wd.UserError, match=words):
        effective(fn, x, **settings)


def test_a_share_of_nothing_or_all_is_refused() -> None:
    with pytest.raises(wd.UserError, match=r"0\.9 for 90 %"):
        EffectiveField(np.ones(1), ReceptiveField(past=0), 1).within(90)


@pytest.mark.long
def test_wavenet_is_measured_from_its_embedded_codes_and_drawn(tmp_path: Path) -> None:
    model = wd.WaveNet(wd.WaveNetConfig.tiny(), rngs=nnx.Rngs(0))
    codes = jax.random.randint(jax.random.key(0), (2, 65), 0, 256)

    def log_prob(embedded: Any) -> Any:
        parameters = model.head(model.stack(model.input(embedded))[1])
        return model.distribution.log_prob(parameters, codes[:, 1:])

    field = effective(log_prob, model.enter(codes[:, :-1]), num_outputs=8)
    assert field.receptive_field == model.receptive_field
    assert (field.energy > 0).all() and field.energy.sum() == pytest.approx(1)
    for name in ("field.png", "field.svg"):
        draw_effective_field(field, tmp_path / name, sample_rate=16000, title="WaveNet")
        assert (tmp_path / name).stat().st_size > 5000
    with pytest.raises(wd.UserError, match="cannot be written"):
        draw_effective_field(field, tmp_path / "field.nonsense", sample_rate=16000)


@pytest.mark.parametrize("field", [ReceptiveField(past=20, future=20), ReceptiveField(past=0)])
def test_any_field_is_drawn(field: ReceptiveField, tmp_path: Path) -> None:
    energy = np.zeros(field.size)
    energy[0] = 1.0
    draw_effective_field(EffectiveField(energy, field, 1), tmp_path / "a.png", sample_rate=8000)
    assert (tmp_path / "a.png").stat().st_size > 5000
