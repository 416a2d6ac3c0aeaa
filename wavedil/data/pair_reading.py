"""Pairs of a dry signal and what an amp made of it, decoded, checked and brought together in time."""

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from wavedil import audio
from wavedil.data.config import CorpusConfig
from wavedil.data.corpus import Corpus
from wavedil.data.latency import Response, latencies, response_of
from wavedil.data.pair import Pair
from wavedil.data.pair_listing import PairEntry, list_pairs, require_ranges
from wavedil.errors import UserError
from wavedil.labels import Vocabulary

# A peak below this is silence with the noise of a converter, -80 dBFS.
_SILENT = 1e-4
# So many samples at full scale after one another were cut off there.
_CLIPPED_RUN = 4
_FULL_SCALE = 0.9999


def read_pairs(
    config: CorpusConfig,
    *,
    knobs: Sequence[str] = (),
    latency_samples: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Corpus[Pair]:
    """Decodes every pair of a corpus; takes out the latency between the two, and holds the end of each pair out.

        pair    |=========== trained on ===========|== scored ==|

    A manifest that says `split` decides instead: what is "test" is held out whole, such as settings of a knob between
    those trained on.

    Args:
      config: Which pairs; of its other settings, sample_rate, channel and held_out.
      knobs: Names of columns of the manifest with the settings of the amp's knobs.
      latency_samples: By how many samples the wet signals are late; None: it is found, the same for all pairs but
        for those that speak against it.
      progress: Called with the seconds of sound that are read, and those that there are.

    Raises:
      UserError: If there are no pairs, or one cannot be used.

    Example:
      read_pairs(CorpusConfig(folder="pairs.csv"), knobs=("gain",))
    """
    _require_plain(config)
    entries = list_pairs(config.folder, knobs)
    if config.held_out < 1:
        require_ranges(entries, knobs)
    headers = {file: audio.read_info(file) for entry in entries for file in (entry.dry, entry.wet)}
    sample_rate = config.sample_rate or _one_rate(headers)
    seconds = np.cumsum([headers[entry.wet].seconds for entry in entries])
    signals, responses = [], []
    for entry, done in zip(entries, seconds, strict=True):
        dry, wet = (
            _signal(file, sample_rate, config.channel, recorded)
            for file, recorded in ((entry.dry, False), (entry.wet, True))
        )
        _require_alike(entry, dry, wet)
        if latency_samples is None:
            responses.append(_response(entry, dry, wet, sample_rate))
        signals.append((dry, wet))
        if progress is not None:
            progress(math.ceil(done), math.ceil(seconds[-1]))
    late = latencies(responses) if latency_samples is None else [latency_samples] * len(entries)
    pairs = [
        _together(entry, *both, samples)
        for entry, both, samples in zip(entries, signals, late, strict=True)
    ]
    train, test = _split(pairs, entries, config)
    return Corpus(
        train=train,
        test=test,
        sample_rate=sample_rate,
        skipped=(),
        trimmed_seconds=0.0,
        label_values=Vocabulary(),
        unlabelled={},
        remarks=(*_of_knobs(train, knobs), *_of_latency(late, sample_rate, latency_samples)),
    )


def _require_plain(config: CorpusConfig) -> None:
    for name in ("labels", "test", "trim_db", "min_max_normalisation"):
        value = getattr(config, name)
        if value not in (None, False):
            raise UserError(f"{name} is {value}, but pairs are taken as they are; leave it out")


def _one_rate(headers: Mapping[Path, audio.AudioInfo]) -> int:
    """The sample rate of all files."""
    file, rate = next((file, header.sample_rate) for file, header in headers.items())
    for other, header in headers.items():
        if header.sample_rate != rate:
            raise UserError(
                f"{other} is at {header.sample_rate} Hz, but {file} at {rate} Hz; all signals have one "
                f"sample rate: record it again, or resample all of them with sample_rate {rate}"
            )
    return rate


def _signal(
    file: Path, sample_rate: int, channel: str, recorded: bool
) -> Float32[np.ndarray, " time"]:
    """The samples of a file; refuses one that is silent, or was cut off at full scale."""
    decoded = audio.decode(file, sample_rate, channel=channel)
    samples = decoded.samples
    if decoded.peak > 1:
        raise audio.AudioError(file, f"the peak is {audio.over_full_scale(decoded.peak)}")
    peak = float(np.abs(samples).max())
    if peak < _SILENT:
        raise audio.AudioError(
            file,
            f"is silent: its peak is {peak:.2g}, and at least {_SILENT:g} (-80 dBFS) is needed; record it again",
        )
    clipped = _clipped(samples) if recorded else 0
    if clipped:
        raise audio.AudioError(
            file,
            f"is clipped: {clipped} samples were cut off at full scale, which is not the sound of the amp; record it "
            "again at a lower level",
        )
    samples.flags.writeable = False
    return samples


def _clipped(samples: np.ndarray) -> int:
    """Samples in runs at full scale."""
    count = 0
    for at_top in (samples >= _FULL_SCALE, samples <= -_FULL_SCALE):
        edges = np.flatnonzero(np.diff(np.concatenate([[False], at_top, [False]]).astype(np.int8)))
        runs = edges[1::2] - edges[::2]
        count += int(runs[runs >= _CLIPPED_RUN].sum())
    return count


def _response(entry: PairEntry, dry: np.ndarray, wet: np.ndarray, sample_rate: int) -> Response:
    try:
        return response_of(dry, wet, sample_rate)
    except UserError as error:
        raise UserError(f"{entry.wet}: {error}") from None


def _require_alike(entry: PairEntry, dry: np.ndarray, wet: np.ndarray) -> None:
    if len(dry) != len(wet):
        raise UserError(
            f"{entry.dry} has {len(dry)} samples, but {entry.wet} has {len(wet)}; record both to the same length, or "
            "cut the longer one at its end"
        )


def _together(entry: PairEntry, dry: np.ndarray, wet: np.ndarray, late: int) -> Pair:
    """The pair without its latency."""
    if abs(late) >= len(dry):
        raise UserError(
            f"latency is {late} samples, but {entry.wet} has {len(wet)}; give a smaller one"
        )
    count = len(dry) - abs(late)
    return Pair(entry.path, dry[max(0, -late) :][:count], wet[max(0, late) :][:count], entry.knobs)


def _split(
    pairs: Sequence[Pair], entries: Sequence[PairEntry], config: CorpusConfig
) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    """What is trained on, and what is held out."""
    if config.held_out in (0, 1):
        return ((), tuple(pairs)) if config.held_out else (tuple(pairs), ())
    splits = [entry.split for entry in entries]
    if splits[0] is not None:
        train, test = (
            tuple(pair for pair, split in zip(pairs, splits, strict=True) if split == wanted)
            for wanted in ("train", "test")
        )
        if not train:
            raise UserError(f"the split of {config.folder} leaves no pair to train on; change it")
        return train, test
    cuts = [round(pair.num_samples * (1 - config.held_out)) for pair in pairs]
    for pair, cut in zip(pairs, cuts, strict=True):
        if not 0 < cut < pair.num_samples:
            raise UserError(
                f"held_out {config.held_out:g} leaves nothing of {pair.path} ({pair.num_samples} samples) on one side; "
                "use 0.1, say"
            )
    both = list(zip(pairs, cuts, strict=True))
    return (
        tuple(pair.part(0, cut) for pair, cut in both),
        tuple(dataclasses.replace(pair, scored=(cut, pair.num_samples)) for pair, cut in both),
    )


def _of_knobs(train: Sequence[Pair], knobs: Sequence[str]) -> list[str]:
    lines = []
    for name in knobs:
        settings = sorted({pair.knobs[name] for pair in train})
        lines.append(f"knob {name}: {', '.join(f'{value:g}' for value in settings)}")
    return lines


def _of_latency(late: Sequence[int], sample_rate: int, said: int | None) -> list[str]:
    """What was done about latency, in a line for people."""
    counts = Counter(late)
    how = "as said" if said is not None else "as found"
    if len(counts) == 1:
        (samples,) = counts
        ms = 1000 * samples / sample_rate
        return [
            f"latency: the wet signals come {samples} samples ({ms:.3g} ms) late, {how}; taken out"
        ]
    return [
        f"latency: the wet signals come {min(late)} to {max(late)} samples late, {how}; taken out of each pair"
    ]
