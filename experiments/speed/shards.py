"""Shards: how fast they are prepared, what reading them costs a step, and the start on a thousand hours.

`python shards.py FOLDER` starts on shards as `wavedil train` does, up to the first batch, and prints one JSON object.
"""

import dataclasses
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import folders
import numpy as np
import soundfile
from array_record.python import array_record_module
from memory import MIB, resident
from sizes import Recordings, Sizes
from timing import alternate, ratio, summary

from wavedil import Quantizer
from wavedil.data import CorpusConfig, Recording, TrainingWindows, prepare, read_corpus

_RATE = 16000


def measure(sizes: Sizes) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        folders.write(folder / "recordings", sizes.shards)
        config = CorpusConfig(folder=str(folder / "recordings"), sample_rate=_RATE)
        return {
            "preparing": _preparing(config, folder, sizes),
            "training": _training(config, folder / "shards 0", sizes),
            "start": _start(folder / "thousand hours", sizes),
        }


def _preparing(config: CorpusConfig, folder: Path, sizes: Sizes) -> dict[str, Any]:
    """Beside decoding and resampling by themselves, on as many threads."""
    import soxr

    files = sorted(Path(config.folder).iterdir())
    turns = 0

    def prepared() -> None:
        nonlocal turns
        prepare(config, folder / f"shards {turns}", quantizer=Quantizer())
        turns += 1

    def decoded(file: Path) -> int:
        samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
        return len(soxr.resample(samples.mean(axis=1), rate, _RATE))

    def bare() -> None:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(decoded, files))

    times = alternate({"prepare": prepared, "soundfile and soxr": bare}, sizes.shard_rounds)
    hours = sum(sizes.shards.lengths) / sizes.shards.sample_rate / 3600
    return {
        "hours": hours,
        "hours_per_second": {
            name: summary([hours / t for t in taken]) for name, taken in times.items()
        },
        "share_of_their_rate": ratio(times["soundfile and soxr"], times["prepare"]),
    }


def _training(config: CorpusConfig, shards: Path, sizes: Sizes) -> dict[str, Any]:
    """Steps over the same batches, from memory and from shards, each made before its step, not ahead of it."""
    import jax
    from ours import compiled_step, run_config

    from wavedil.training import initial_state

    state = initial_state(run_config(sizes.model))
    steps: dict[Any, Any] = {}

    def train(recordings: Any) -> Any:
        windows = TrainingWindows(
            recordings,
            window_size=sizes.num_samples,
            context_samples=sizes.model.context_samples,
            batch_size=1,
            label_values={},
            seed=0,
        )

        def take() -> None:
            nonlocal state
            for number in range(sizes.batches):
                batch = windows.batch(number)
                shape = batch.codes.shape, batch.context.shape
                if shape not in steps:
                    steps[shape] = compiled_step(sizes.model, batch)
                state, _ = jax.block_until_ready(steps[shape](state, batch))

        return take

    memory = read_corpus(config, quantizer=sizes.model.quantizer).train
    stored = read_corpus(
        dataclasses.replace(config, folder=str(shards)), quantizer=sizes.model.quantizer
    ).train
    times = alternate({"memory": train(memory), "shards": train(stored)}, sizes.rounds)
    return {
        "samples": sizes.num_samples,
        "over_memory": ratio(times["shards"], times["memory"]),
    }


def _start(shards: Path, sizes: Sizes) -> dict[str, Any]:
    """On shards whose index is that of so many hours, while their codes are left out."""
    _write_index(shards, sizes)
    command = [sys.executable, __file__, str(shards)]
    rows = []
    for _ in range(sizes.starts):
        begun = time.perf_counter()
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rows.append({"seconds": time.perf_counter() - begun, **json.loads(output.splitlines()[-1])})
    return {
        "hours": sizes.shard_hours,
        **{name: statistics.median(row[name] for row in rows) for name in rows[0]},
    }


def _write_index(folder: Path, sizes: Sizes) -> None:
    """The shards of recordings of ten seconds: as `prepare` writes them, but for the codes, which are left out."""
    sound, template = folder.with_name("ten seconds"), folder.with_name("template")
    folders.write(sound, Recordings(_RATE, (10 * _RATE,)))
    prepare(CorpusConfig(folder=str(sound)), template, quantizer=Quantizer())
    (shard,) = template.glob("shard-*")
    reader = array_record_module.ArrayRecordReader(str(shard))
    num_pieces = reader.num_records() - 1
    index = json.loads(reader.read([num_pieces])[0])
    num_shards = max(1, min(512, sizes.shard_hours * 450 // 1000))
    index["settings"]["num_shards"] = num_shards
    (recording,) = index["recordings"]
    folder.mkdir()
    settings = json.loads((template / "prepared.json").read_text())
    (folder / "prepared.json").write_text(json.dumps(settings | {"num_shards": num_shards}))
    for number, part in enumerate(np.array_split(np.arange(sizes.shard_hours * 360), num_shards)):
        name = f"shard-{number:05}-of-{num_shards:05}.array_record"
        writer = array_record_module.ArrayRecordWriter(str(folder / name), "group_size:1")
        for _ in range(num_pieces * len(part)):
            writer.write(b"")
        rows = [
            recording
            | {
                "path": f"{n // 1000:04}/{n:08}.flac",
                "sha256": hashlib.sha256(str(n).encode()).hexdigest(),
            }
            for n in part
        ]
        writer.write(json.dumps(index | {"name": name, "recordings": rows}).encode())
        writer.close()


def start_main() -> None:
    """Reads the corpus and lays out its windows."""
    begun = time.perf_counter()
    corpus = read_corpus(CorpusConfig(folder=sys.argv[1]), quantizer=Quantizer())
    windows = TrainingWindows(
        corpus.train,
        window_size=8192,
        context_samples=3070,
        batch_size=1,
        label_values=corpus.label_values,
        seed=0,
    )
    assert isinstance(corpus.train[0], Recording) and windows is not None
    print(
        json.dumps(
            {
                "seconds_of_reading": time.perf_counter() - begun,
                "peak_mib": resident("VmHWM") / MIB,
                "recordings": len(corpus.train) + len(corpus.test),
            }
        )
    )


def table(results: dict[str, Any]) -> list[str]:
    preparing, training, start = (results[name] for name in ("preparing", "training", "start"))
    rates, share = preparing["hours_per_second"], preparing["share_of_their_rate"]
    over = training["over_memory"]
    return [
        f"`wavedil prepare` of {preparing['hours']:.2f} h to 16 kHz: {rates['prepare']['median']:.3f} h/s, "
        f"{share['median']:.2f}x ({share['lowest']:.2f} to {share['highest']:.2f}; aim 0.9) the rate of soundfile and "
        f"soxr by themselves on as many threads, {rates['soundfile and soxr']['median']:.3f} h/s.",
        "",
        f"A step of {training['samples']:,} samples from shards takes {over['median']:.3f}x "
        f"({over['lowest']:.3f} to {over['highest']:.3f}; aim 1.03) one from memory.",
        "",
        f"Start on {start['hours']:,} h ({start['recordings']:,} recordings): {start['seconds']:.1f} s to the first "
        f"batch, imports included (aim 10 s), {start['peak_mib']:,.0f} MiB (aim 1,000).",
    ]


if __name__ == "__main__":
    start_main()
