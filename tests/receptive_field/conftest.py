"""Functions of users are traced as they stand, with ranks promoted as NumPy does."""

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture(autouse=True)
def ranks_are_promoted() -> Iterator[None]:
    with jax.numpy_rank_promotion("allow"):
        yield
