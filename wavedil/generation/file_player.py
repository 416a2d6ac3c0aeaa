"""A sound file of any length through an effect, in constant memory."""

import dataclasses
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
from jaxtyping import Float32

from wavedil import audio
from wavedil.errors import UserError, with_article
from wavedil.generation.stream import Stream
from wavedil.models.amp import AmpModel

# Samples that are played at once: of all lengths the fastest.
_BLOCK = 1 << 12

Block = Float32[np.ndarray, "time channels"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Played:
    """What was played.

    Attributes:
      sample_rate: Of both files (Hz).
      num_channels: Of both; each went through the effect by itself.
      num_samples: Of each channel.
      peak: The largest magnitude that came out; above 1, samples were limited.
      play_seconds: What playing took, reading and writing included, and compiling left out.
    """

    sample_rate: int
    num_channels: int
    num_samples: int
    peak: float
    play_seconds: float

    @property
    def real_time_factor(self) -> float:
        """Seconds of sound in a second."""
        return self.num_samples / self.sample_rate / self.play_seconds


def play_file(
    model: AmpModel,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    knobs: Mapping[str, float] | None = None,
    resample: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Played:
    """Plays a sound file through an amp model, and writes what comes out: as many samples, at the same rate.

    The samples are those of the whole file at once. Channels go through the model one by one. A file is read, played
    and written block by block, and takes its place when it is complete.

    Args:
      model: With one channel.
      source: Any file that `wavedil.audio` reads.
      target: Ends in .wav or .flac, 24 bits; an existing file is replaced.
      knobs: Name -> setting, of each knob that the model has.
      resample: Whether a file of another rate than the model's is resampled to it, and back.
      progress: Called with the samples that are done, and their number.

    Raises:
      UserError: If the rates differ, a file cannot be read or written, a sample is not finite, or the model is no
        effect or lacks a setting.
    """
    if not isinstance(model, AmpModel):
        raise UserError(
            f"the model is {with_article(type(model).__name__)}, but sound is played through an AmpModel: "
            "one trained for the task effect, or imported from a .nam file"
        )
    if (model.in_channels, model.config.out_channels) != (1, 1):
        raise UserError(
            f"the model takes {model.in_channels} channels and gives {model.config.out_channels}, but a file is played "
            "channel by channel; use a model of one"
        )
    header, wanted = audio.read_info(source), model.config.sample_rate
    rate, channels, num_samples = header.sample_rate, header.num_channels, header.num_samples
    if rate != wanted and not resample:
        raise UserError(
            f"{source} is at {rate} Hz, but the model was made for {wanted} Hz; give a file of {wanted} Hz, or let it "
            "be resampled (--resample)"
        )
    stream = Stream(model, channels, knobs=knobs or {})
    stream.push(np.zeros((channels, _BLOCK, 1), np.float32))  # compiles
    stream.reset()
    begun, peak, done = time.perf_counter(), 0.0, 0
    dry = _resampled(_read(source), channels, rate, wanted)
    wet = _resampled(play_blocks(stream, dry, channels), channels, wanted, rate)
    with audio.writing_blocks(target, rate, channels, num_samples) as write:
        for block in wet:
            block = block[: num_samples - done]
            peak, done = max(peak, float(np.abs(block).max(initial=0))), done + len(block)
            write(block)
            if progress is not None and len(block):
                progress(done, num_samples)
        # Resampled, it may be a sample short.
        write(np.zeros((num_samples - done, channels), np.float32))
    return Played(
        sample_rate=rate,
        num_channels=channels,
        num_samples=num_samples,
        peak=peak,
        play_seconds=time.perf_counter() - begun,
    )


def _read(source: str | os.PathLike[str]) -> Iterator[Block]:
    with audio.open_sound(source) as sound:
        for block in sound.pieces(0, sound.num_samples):
            bad = block.size - np.count_nonzero(np.isfinite(block))
            if bad:
                raise audio.AudioError(
                    source, f"{bad} samples are NaN or infinite; export it again from its source"
                )
            yield block


def play_blocks(stream: Stream, blocks: Iterable[Block], channels: int) -> Iterator[Block]:
    """What comes out of a sound, each channel a signal of the stream: all that was played, in other blocks.

    They are of one length, so that one alone is compiled; the last is filled up with silence.
    """
    waiting = np.zeros((0, channels), np.float32)
    for block in blocks:
        waiting = np.concatenate([waiting, block])
        count = len(waiting) // _BLOCK * _BLOCK
        yield stream.push(waiting[:count].T[..., None])[..., 0].T
        waiting = waiting[count:]
    filled = np.pad(waiting, ((0, -len(waiting) % _BLOCK), (0, 0)))
    yield stream.push(filled.T[..., None])[..., 0].T[: len(waiting)]


def _resampled(blocks: Iterator[Block], channels: int, before: int, after: int) -> Iterator[Block]:
    """The sound at another rate."""
    if before == after:
        yield from blocks
        return
    import soxr

    stream = soxr.ResampleStream(before, after, channels, dtype="float32", quality="HQ")
    for block in blocks:
        yield stream.resample_chunk(block).reshape(-1, channels)
    silence = np.zeros((0, channels), np.float32)
    yield stream.resample_chunk(silence, last=True).reshape(-1, channels)
