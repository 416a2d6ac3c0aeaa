"""Settings for all tests: strict types in JAX; shapes checked where they are declared; what runs by default."""

import os
import zlib

import hypothesis
import jax
import pytest
from jaxtyping import install_import_hook

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
# Tests compile far more than they compute.
jax.config.update("jax_disable_most_optimizations", True)
if jax.__version_info__ < (0, 11):
    # The older of two code generators compiles in half the time. Later versions have only the other one, which is
    # what the tests run on there.
    os.environ["XLA_FLAGS"] = " ".join(
        [os.environ.get("XLA_FLAGS", ""), "--xla_cpu_use_fusion_emitters=false"]
    )

# How long an example takes says more of the machine than of what is tested.
hypothesis.settings.register_profile("wavedil", deadline=None)
hypothesis.settings.load_profile("wavedil")

_CHECKED = [
    *("wavedil.ops", "wavedil.nn", "wavedil.distributions"),
    *("wavedil.models.wavenet", "wavedil.models.encoder"),
]
install_import_hook(_CHECKED, "beartype.beartype")


@pytest.hookimpl(tryfirst=True)  # before what is marked is left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks as `long` the cases of the layers' contract that say so, and seven eighths of what is `sampled`.

    By their names, so that each set of parameters goes through some of the tests. WAVEDIL_TEST_TURN, 0 to 7, takes
    another eighth: `.ci/run` has the number of commits for it, so that all have their turn.
    """
    turn = int(os.environ.get("WAVEDIL_TEST_TURN", 0))
    for item in items:
        case = getattr(item, "callspec", None) and item.callspec.params.get("case")
        left_out = (
            item.get_closest_marker("sampled") and (zlib.crc32(item.name.encode()) + turn) % 8
        )
        if getattr(case, "long", False) or left_out:
            item.add_marker(pytest.mark.long)
