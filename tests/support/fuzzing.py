"""Damaged files through the functions that read them: `python fuzzing.py COUNT SEED KIND ...`, in a process of its own.

Prints a line for each kind: how many were read and how many refused, the slowest in seconds, and the memory that they
took in MiB. Any other exception, a hang, or memory without bounds ends it with a traceback.
"""

import collections
import contextlib
import io
import json
import os
import resource
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import soundfile
from recordings import tone, write

from wavedil import UserError, audio, features
from wavedil.data import CorpusConfig, read_corpus

SECONDS_A_CASE = 5
MOST_BYTES = 1 << 30


class Hang(BaseException):
    """Not to be caught by what is tested."""


def mutate(rng, data):
    """The bytes with one to three damages."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(len(data) + 1) if rng.random() < 0.5 else rng.integers(128))
        count = int(2 ** rng.uniform(0, 8))
        at = min(at, len(data))
        match rng.integers(6):
            case 0:
                del data[at:]
            case 1 if at < len(data):
                data[at] ^= 1 << int(rng.integers(8))
            case 2:
                data[at : at + count] = rng.bytes(min(count, len(data) - at))
            case 3:
                data[at:at] = rng.bytes(count)
            case 4:
                data[at : at + count] = bytes(min(count, len(data) - at))
            case 5:
                data[at : at + count] = b"\xff" * min(count, len(data) - at)
    return bytes(data)


def sound(form, subtype):
    noise = np.random.default_rng(0).normal(0, 0.1, 6000)
    file = io.BytesIO()
    soundfile.write(file, noise, 8000, format=form, subtype=subtype)

    def read(path):
        samples, _ = audio.load(path)
        assert np.abs(samples).max() <= 1 and audio.read_info(path).num_samples >= len(samples)
        audio.load_segment(path, 0, 1)

    return [(f"sound.{form.lower()}", file.getvalue(), read)]


def arrays():
    file = io.BytesIO()
    np.save(file, np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32))

    def read(path):
        assert features.read(path).ndim == 2

    return [("features.npy", file.getvalue(), read)]


def manifests():
    folder = Path.cwd()
    names = [f"{word}_{n}.wav" for n in range(3) for word in ("one", "two")]
    for number, name in enumerate(names):
        write(folder / name, tone(300 + number))
    splits = ["test", "train", "train", "train", "test", "train"]
    rows = list(zip(names, splits, strict=True))
    lines = ["path,split,word", *(f"{name},{split},{name[:3]}" for name, split in rows)]
    objects = [json.dumps({"path": name, "split": split, "take": 1}) for name, split in rows]

    def read(path):
        assert read_corpus(CorpusConfig(folder=str(path))).train

    return [
        ("files.csv", "\n".join(lines).encode(), read),
        ("files.jsonl", "\n".join(objects).encode(), read),
    ]


def models(name):
    from flax import nnx

    import wavedil
    from wavedil.models import named_weights

    config = wavedil.WaveNetConfig.tiny(dilations=(1, 2), cycles=1, residual_channels=2)
    model = wavedil.WaveNet(config, rngs=nnx.Rngs(0))
    wavedil.save(model, "model")
    weights = {name: np.asarray(value) for name, value in named_weights(model).items()}

    def read(path):
        loaded = wavedil.load(path.parent)
        assert loaded.config == config
        for key, value in named_weights(loaded).items():
            np.testing.assert_array_equal(value, weights[key])

    return [(f"model/{name}", Path("model", name).read_bytes(), read)]


def amps():
    from wavedil.formats import nam
    from wavedil.models import AmpModelConfig, make_model

    array = {"channels": 2, "dilations": (1, 2)}
    configs = {
        "older": AmpModelConfig(arrays=(array | {"head_channels": 2}, array)),
        "newer": AmpModelConfig(arrays=(array | {"gating": ("gated",), "conv_pre_film": {}},)),
    }
    cases = []
    for name, config in configs.items():
        nam.save(make_model(config), f"{name}.nam")
        cases.append((f"{name}.nam", Path(f"{name}.nam").read_bytes(), nam.load))
    return cases


KINDS = {
    "wav": lambda: sound("WAV", "PCM_16"),
    "flac": lambda: sound("FLAC", "PCM_16"),
    "ogg": lambda: sound("OGG", "VORBIS"),
    "mp3": lambda: sound("MP3", "MPEG_LAYER_III"),
    "npy": arrays,
    "manifest": manifests,
    "config": lambda: models("config.json"),
    "nam": amps,
    "safetensors": lambda: models("model.safetensors"),
}


@contextlib.contextmanager
def time_limit():
    signal.setitimer(signal.ITIMER_REAL, SECONDS_A_CASE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def hang(*_):
    raise Hang


def fuzz(kind, count, seed):
    rng = np.random.default_rng(seed)
    outcomes = collections.Counter()
    slowest = 0.0
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        cases = KINDS[kind]()
        for name, data, read in cases:  # whole, and all that is imported at first use
            Path(name).write_bytes(data)
            read(Path(name).absolute())
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        resource.setrlimit(resource.RLIMIT_AS, (used + MOST_BYTES, resource.RLIM_INFINITY))
        for number in range(count):
            name, data, read = cases[number % len(cases)]
            damaged = mutate(rng, data)
            path = Path(name).absolute()
            path.write_bytes(damaged)
            start = time.perf_counter()
            try:
                with time_limit():
                    read(path)
                outcomes["read"] += 1
            except UserError as error:
                assert "\n" not in str(error), str(error)
                outcomes["refused"] += 1
            except BaseException:
                keep = Path(tempfile.gettempdir(), f"damaged-{kind}-{seed}-{number}{path.suffix}")
                keep.write_bytes(damaged)
                print(f"{kind}: case {number} of seed {seed}, kept as {keep}", file=sys.stderr)
                raise
            slowest = max(slowest, time.perf_counter() - start)
        os.chdir("/")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident) / 1024
    return {**outcomes, "slowest": slowest, "memory": grown}


def main(count, seed, *kinds):
    signal.signal(signal.SIGALRM, hang)
    warnings.simplefilter("ignore")
    for kind in kinds:
        print(json.dumps({"kind": kind, **fuzz(kind, count, seed)}), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]), *sys.argv[3:])
