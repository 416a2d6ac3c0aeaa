"""What `trace` says without running anything is what `probe` measures, output by output."""

import jax
import jax.numpy as jnp
import pytest
from random_networks import CHANNELS, RandomNetwork, random_network

from wavedil.errors import UserError
from wavedil.receptive_field import ProbedField, TracedField, probe, trace

NUM_NETWORKS, PER_TEST = 320, 32


@pytest.mark.parametrize("first", range(0, NUM_NETWORKS, PER_TEST))
def test_traced_equals_probed_on_random_networks(first: int) -> None:
    for seed in range(first, first + PER_TEST):
        network = random_network(seed)
        signal = jax.ShapeDtypeStruct((1, network.num_samples, CHANNELS), jnp.float32)
        require_equal(trace(network.run, signal), probe(network.run, signal), network)


def require_equal(traced: TracedField, probed: ProbedField, network: RandomNetwork) -> None:
    assert traced.num_outputs == probed.num_outputs
    for t in range(probed.num_outputs):
        assert traced.inputs(t) == probed.inputs(t), f"output {t} of {network}"
    try:
        field = probed.receptive_field
    except UserError:  # too short a signal for a field, or none to be had
        return
    assert traced.receptive_field == field, str(network)
    assert traced.causal == probed.causal, str(network)
    assert probed.blind == (), str(network)


def test_random_networks_are_of_many_kinds() -> None:
    names = {part for seed in range(NUM_NETWORKS) for part in random_network(seed).parts}
    kinds = ("causal", "same", "valid", "transposed", "max", "sum", "residual", "branches")
    for kind in (*kinds, "repeat", "fold", "unfold", "crop", "delay", "mirror", "gate"):
        assert any(name.startswith(kind) for name in names), kind
