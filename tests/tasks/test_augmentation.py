"""Spectra that training changes: what may change, and by how much at most."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavedil.tasks.augmentation import augmented

FRAMES, BANDS = 40, 20


@pytest.mark.long
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**20), lengths=st.lists(st.integers(1, FRAMES), min_size=2, max_size=2))
def test_a_signal_changes_its_length_by_a_sixth_at_most_and_nothing_comes_from_beyond_its_end(
    seed, lengths
):
    before = np.array(lengths)
    mask = jnp.arange(FRAMES)[None] < before[:, None]
    spectra = jnp.where(mask[..., None], jnp.full((2, FRAMES, BANDS), 0.5), jnp.nan)
    changed, there = augmented(spectra, mask, jax.random.key(seed))
    after = np.asarray(there.sum(axis=1))
    longest = np.minimum(before * 1.1625, FRAMES)
    assert (after >= np.floor(before / 1.1625)).all() and (after <= longest).all()
    assert (np.asarray(there) == (np.arange(FRAMES) < after[:, None])).all()
    changed = np.asarray(changed)
    assert (changed[~np.asarray(there)] == 0).all()
    # Louder or softer by 5 dB; and up to two fifths of the bands and of the frames are missing.
    assert ((changed >= 0) & (changed <= 0.55 + 1e-6)).all()
    steady = changed[0, : max(1, int(after[0]) - 1)]
    assert np.ptp(steady[steady > 0]) <= 1e-6 if (steady > 0).any() else True


@pytest.mark.long
def test_a_band_moves_by_a_twelfth_at_most_and_keys_differ():
    tone = jnp.zeros((8, FRAMES, BANDS)).at[:, :, 12].set(1.0)
    mask = jnp.ones((8, FRAMES), bool)
    changed, _ = (np.asarray(each) for each in augmented(tone, mask, jax.random.key(1)))
    other, _ = (np.asarray(each) for each in augmented(tone, mask, jax.random.key(2)))
    assert np.abs(changed - other).max() > 0.01
    _, _, bands = np.nonzero(changed)
    assert bands.min() >= 12 * 0.92 - 1 and bands.max() <= 12 * 1.0875 + 1
