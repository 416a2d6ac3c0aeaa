"""`trace` equals `probe`, output by output."""

import jax
import jax.numpy as jnp
import pytest
from random_networks import CHANNELS, RandomNetwork, random_network

from wavedil import UserError
from wavedil.receptive_field import ProbedField, TracedField, probe, trace

NUM_NETWORKS, PER_TEST = 320, 32


@pytest.mark.sampled
@pytest.mark.parametrize("first", range(0, NUM_NETWORKS, PER_TEST))
def test_traced_equals_probed_on_random_networks(first: int) -> None:
    compared = 0
    for seed in range(first, first + PER_TEST):
        network = random_network(seed)
        signal = jax.ShapeDtypeStruct((1, network.num_samples, CHANNELS), jnp.float32)
        compared += is_equal(trace(network.run, signal), probe(network.run, signal), network)
    # The others see more than so short a signal holds, or all of it.
    assert compared >= PER_TEST // 2


def is_equal(traced: TracedField, probed: ProbedField, network: RandomNetwork) -> bool:
    """Fails where trace and probe differ; whether the probe found a field to compare."""
    assert traced.upper_bounds == probed.blind == (), str(network)
    assert traced.num_outputs == probed.num_outputs
    for t in range(probed.num_outputs):
        assert traced.inputs(t) == probed.inputs(t), f"output {t} of {network}"
    for t in traced.interior if has_field(traced) else ():
        expected = [s for s in traced.receptive_field.inputs(t) if 0 <= s < traced.num_inputs]
        assert traced.inputs(t) == tuple(expected), f"interior output {t} of {network}"
    if not has_field(probed):
        # No probe of a few dozen samples tells a field as long as they are from one without an end.
        reach = max(traced.size, traced.past, traced.future)
        assert reach > traced.num_inputs // 4 or not has_field(traced), str(network)
        return False
    assert traced.receptive_field == probed.receptive_field, str(network)
    assert traced.causal == probed.causal, str(network)
    return True


def has_field(field: TracedField | ProbedField) -> bool:
    """Whether it describes all outputs together."""
    try:
        return field.receptive_field is not None
    except UserError:
        return False


def test_random_networks_are_of_many_kinds() -> None:
    names = {part for seed in range(NUM_NETWORKS) for part in random_network(seed).parts}
    kinds = ("causal", "same", "valid", "transposed", "max", "sum", "residual", "branches")
    for kind in (
        *kinds,
        "repeat",
        "fold",
        "unfold",
        "crop",
        "delay",
        "mirror",
        "gate",
        "circular",
        "frames",
        "recurrence",
    ):
        assert any(name.startswith(kind) for name in names), kind
