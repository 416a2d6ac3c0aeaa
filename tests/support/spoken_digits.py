"""The Free Spoken Digit Dataset, for tests that compare with figures known for it."""

import os
from pathlib import Path

import pytest

# data/README.md says where the recordings come from; WAVEDIL_DATA says where they are.
_DATA = Path(os.environ.get("WAVEDIL_DATA", Path(__file__).parents[3] / "shared" / "data"))
FOLDER = _DATA / "fsdd"

needs_recordings = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no recordings at {FOLDER}; set WAVEDIL_DATA (data/README.md)"
)
