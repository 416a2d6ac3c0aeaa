"""Recordings for tests of shards, and what prepares them."""

import shutil

import numpy as np
import pytest
from recordings import tone, write, write_empty

from wavedil import Quantizer
from wavedil.data import CorpusConfig, prepare
from wavedil.data.shards.format import PIECE

LABELS = r"(?P<digit>\d)_(?P<speaker>[a-z]+)"


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Ten recordings: long and short, of another rate, beyond full scale, twice the same; and one that is empty."""
    folder = tmp_path_factory.mktemp("sounds")
    rng = np.random.default_rng(0)
    for number in range(8):
        samples = tone(900 + 400 * number) + 0.1 * rng.normal(size=900 + 400 * number)
        write(folder / f"{number}_ann.wav", samples)
    write(
        folder / "a" / "8_bob.wav", tone(2 * PIECE + 500) + 0.1 * rng.normal(size=2 * PIECE + 500)
    )
    write(
        folder / "a" / "9_bob.wav", 1.5 * tone(3000, level=1.0), sample_rate=16000, subtype="FLOAT"
    )
    shutil.copyfile(folder / "3_ann.wav", folder / "3_eve.wav")
    write_empty(folder / "7_empty.wav")
    return folder


def config(folder, **settings):
    return CorpusConfig(folder=str(folder), **settings)


def make(sounds, folder, num_shards=3, part=(1, 1), quantizer=None, **settings):
    names = "progress", "warn", "mel", "features_hop", "pitch"
    more = {key: settings.pop(key) for key in names if key in settings}
    return prepare(
        config(sounds, **settings),
        folder,
        quantizer=quantizer or Quantizer(),
        num_shards=num_shards,
        part=part,
        **more,
    )


@pytest.fixture
def good(sounds, tmp_path):
    """Those of the recordings that can be used as they are."""
    bad = shutil.ignore_patterns("7_empty.wav", "9_bob.wav")
    return shutil.copytree(sounds, tmp_path / "good", ignore=bad)


@pytest.fixture
def shards(sounds, tmp_path):
    make(sounds, tmp_path / "shards")
    return tmp_path / "shards"


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}
