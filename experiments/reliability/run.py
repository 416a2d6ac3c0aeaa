"""What is left of a training run after whatever happened to it: kills, damaged files, a full disk, two processes.

    python experiments/reliability/run.py [kills] [damage] [full_disk] [two_processes] [--count 50]

Each name adds a batch to its row of results.json: so many more kills, damaged checkpoints, full disks or pairs of
processes. A run counts as equal if weights, averages, optimizer, metrics and the saved model are in the end those of a
run that nothing happened to, bit for bit. `full_disk` mounts a small file system, which needs the rights to.
"""

import argparse
import contextlib
import itertools
import json
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import tiny_runs

RESULTS = Path(__file__).parent / "results.json"
# Of the kills, those that wait for a checkpoint to be on its way to the disk; and kills of one run.
IN_SAVES, KILLS_OF_A_RUN = 0.1, 10
DAMAGES: dict[str, Callable[[Path, random.Random], None]] = {
    "truncated": lambda path, draw: os.truncate(path, draw.randrange(path.stat().st_size)),
    "a bit flipped": lambda path, draw: _flip(path, draw),
    "deleted": lambda path, draw: path.unlink(),
}
# Bytes of the disk that is filled, and of its smallest and largest room for a run that goes on.
DISK, ROOMS = 24_000_000, (0, 3_000_000)


def main() -> None:
    batches = {
        "kills": kills,
        "damage": damage,
        "full_disk": full_disk,
        "two_processes": two_processes,
    }
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", choices=[*batches, []])
    parser.add_argument("--count", type=int, default=50)
    arguments = parser.parse_args()
    tiny_runs.PROCESSES.set_forkserver_preload(["tiny_runs"])
    for name in arguments.rows or batches:
        with tempfile.TemporaryDirectory() as folder:
            draw = random.Random()  # others in each batch, also where two are made at once
            references = Path(folder, "references")
            _write_references(references)
            found = batches[name](arguments.count, draw, references, Path(folder))
        _add(name, found)


def kills(count: int, draw: random.Random, references: Path, folder: Path) -> dict[str, int]:
    """SIGKILL at random moments, some of them inside saves; the run is started again each time, until it ends."""
    found = {"count": 0, "in_saves": 0, "runs": 0, "equal": 0}
    seconds = _seconds_of_a_run(references, folder)
    for number in itertools.count():
        if found["count"] >= count:
            return found
        kind = tiny_runs.KINDS[number % len(tiny_runs.KINDS)]
        run = _new_run(folder, number)
        for _ in range(min(KILLS_OF_A_RUN, count - found["count"])):
            in_save = draw.random() < IN_SAVES
            moment = draw.uniform(0, 0.6 * seconds[kind])
            process = tiny_runs.start(kind, references / kind, run)
            if in_save:
                _wait_for_a_save(run, process)
            else:
                process.join(moment)
            in_save = in_save and _is_saving(run)
            if process.exitcode is not None:
                break  # it was at its end before
            process.kill()
            process.join()
            found["count"] += 1
            found["in_saves"] += in_save
        _finish(found, kind, references, run)
    raise AssertionError("not reached")


def damage(count: int, draw: random.Random, references: Path, folder: Path) -> dict[str, int]:
    """A file of the newest checkpoint truncated, changed or deleted: the one before is taken, and the file named."""
    found = dict.fromkeys(("count", *DAMAGES, "named", "runs", "equal"), 0)
    stopped = {}
    for kind in tiny_runs.KINDS:
        stopped[kind] = folder / f"stopped-{kind}"
        _stop_half_way(kind, references, stopped[kind])
    for number in range(count):
        kind = tiny_runs.KINDS[number % len(tiny_runs.KINDS)]
        run = _new_run(folder, number)
        shutil.copytree(stopped[kind], run)
        newest = max((run / "checkpoints").iterdir(), key=lambda path: int(path.name))
        file = draw.choice(sorted(path for path in newest.rglob("*") if path.stat().st_size))
        while not file.is_file() or file.name == "checksums.json":
            file = draw.choice(sorted(path for path in newest.rglob("*") if path.stat().st_size))
        how = draw.choice(list(DAMAGES))
        DAMAGES[how](file, draw)
        found["count"] += 1
        found[how] += 1
        _finish(found, kind, references, run)
        words = tiny_runs.said(run)
        named = str(file.relative_to(newest)) in words and "moved to broken-checkpoint" in words
        if not named:
            print(f"{how} {file.relative_to(newest)}: not named in {words!r}", flush=True)
        found["named"] += named
    return found


def full_disk(count: int, draw: random.Random, references: Path, folder: Path) -> dict[str, int]:
    """No room left at some moment: one line says so; with room again, the run goes on."""
    found = {"count": 0, "said_so": 0, "runs": 0, "equal": 0}
    seconds = _seconds_of_a_run(references, folder)
    for number in range(count):
        kind = tiny_runs.KINDS[number % len(tiny_runs.KINDS)]
        with _small_disk(folder / f"disk-{number}") as disk:
            run, ballast = disk / "run", disk / "ballast"
            process = tiny_runs.start(kind, references / kind, run)
            process.join(draw.uniform(0.1, 0.8) * seconds[kind])
            free = shutil.disk_usage(disk).free - draw.randrange(*ROOMS)
            with ballast.open("wb") as file, contextlib.suppress(OSError):
                os.posix_fallocate(file.fileno(), 0, max(free, 1))
            process.join()
            if process.exitcode == 0:
                ballast.unlink()
                continue  # there was room enough for the rest of it
            found["count"] += 1
            words = tiny_runs.said(run).splitlines()
            said_so = process.exitcode == 2 and "No space left" in words[-1]
            if not said_so:
                print(f"exit code {process.exitcode}, {words}", flush=True)
            found["said_so"] += said_so
            ballast.unlink()
            _finish(found, kind, references, run)
    return found


def two_processes(
    count: int, draw: random.Random, references: Path, folder: Path
) -> dict[str, int]:
    """Two processes in one folder: one trains, the other is told; the first killed, a third goes on."""
    found = {"count": 0, "one_trained": 0, "runs": 0, "equal": 0}
    for number in range(count):
        kind = tiny_runs.KINDS[number % len(tiny_runs.KINDS)]
        run = _new_run(folder, number)
        processes = [tiny_runs.start(kind, references / kind, run) for _ in range(2)]
        while all(process.exitcode is None for process in processes):
            time.sleep(0.01)
        (refused,) = [process for process in processes if process.exitcode is not None][:1]
        other = next(process for process in processes if process is not refused)
        trains = refused.exitcode == 2 and other.exitcode is None
        if not trains:
            print(f"exit codes {[process.exitcode for process in processes]}", flush=True)
        other.join(draw.uniform(0, 1))
        other.kill()
        other.join()
        found["count"] += 1
        found["one_trained"] += trains
        _finish(found, kind, references, run)
    return found


def _finish(found: dict[str, int], kind: str, references: Path, run: Path) -> None:
    """Lets a run go on to its end, and counts whether it is equal to the uninterrupted one."""
    code, words = tiny_runs.to_the_end(kind, references / kind, run)
    wrong = (
        words
        if code
        else tiny_runs.difference(kind, references / kind, run, _whole(references, kind))
    )
    if wrong:
        print(f"{kind}: {wrong}", flush=True)
    else:
        shutil.rmtree(run)
    found["runs"] += 1
    found["equal"] += not wrong
    print(found, flush=True)


def _write_references(folder: Path) -> None:
    for kind in tiny_runs.KINDS:
        tiny_runs.write_recordings(kind, folder / kind)
        code, words = tiny_runs.to_the_end(kind, folder / kind, _whole(folder, kind))
        assert code == 0, words


def _whole(references: Path, kind: str) -> Path:
    return references / f"{kind}-whole"


def _seconds_of_a_run(references: Path, folder: Path) -> dict[str, float]:
    seconds = {}
    for kind in tiny_runs.KINDS:
        started = time.monotonic()
        code, words = tiny_runs.to_the_end(kind, references / kind, folder / f"timed-{kind}")
        assert code == 0, words
        seconds[kind] = time.monotonic() - started
    return seconds


def _stop_half_way(kind: str, references: Path, run: Path) -> None:
    process = tiny_runs.start(kind, references / kind, run)
    half = tiny_runs.STEPS // 2
    while not (run / "checkpoints" / str(half)).exists():
        time.sleep(0.001)
        assert process.exitcode is None, tiny_runs.said(run)
    process.terminate()
    process.join()


def _new_run(folder: Path, number: int) -> Path:
    return folder / f"run-{number}"


def _is_saving(run: Path) -> bool:
    return any((run / "checkpoints").glob("*tmp*"))


def _wait_for_a_save(run: Path, process) -> None:
    left = set((run / "checkpoints").glob("*tmp*"))
    while process.exitcode is None and not set((run / "checkpoints").glob("*tmp*")) - left:
        time.sleep(0.0005)


def _flip(path: Path, draw: random.Random) -> None:
    content = bytearray(path.read_bytes())
    bit = draw.randrange(8 * len(content))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


@contextlib.contextmanager
def _small_disk(place: Path) -> Iterator[Path]:
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def _results() -> dict[str, dict[str, int]]:
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def _add(name: str, found: dict[str, int]) -> None:
    results = _results()
    before = results.get(name, {})
    results[name] = {key: before.get(key, 0) + value for key, value in found.items()}
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(name, results[name], flush=True)


if __name__ == "__main__":
    main()
