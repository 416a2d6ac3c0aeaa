"""The well-known networks of experiments/receptive_fields are traced to the fields that its results hold."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from wavedil.receptive_field import trace

FOLDER = Path(__file__).parents[2] / "experiments" / "receptive_fields"
sys.path.insert(0, str(FOLDER))
from networks import NETWORKS  # noqa: E402

ROWS = json.loads((FOLDER / "results.json").read_text())["structural"]["networks"]


@pytest.mark.parametrize(
    ("network", "row"),
    list(zip(NETWORKS, ROWS, strict=True)),
    ids=[network.name for network in NETWORKS],
)
def test_network_is_traced_to_the_field_in_the_results(network: Any, row: Any) -> None:
    field = trace(network.function(network.width), network.signal(network.num_samples))
    assert str(field.stride) == row["stride"]
    if row["size"] == "all":
        assert field.size == float("inf")
    else:
        assert (field.size, len(field.taps)) == (row["size"], row["num_taps"])
        # What differs from the published figure is explained.
        assert field.size == network.published or network.why
