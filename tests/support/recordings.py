"""Sound files for tests, good and bad."""

import os
import zlib
from pathlib import Path

import numpy as np
import soundfile


def tone(num_samples, *, frequency=440.0, sample_rate=8000, level=0.5):
    time = np.arange(num_samples) / sample_rate
    return (level * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


def write(path, samples=None, sample_rate=8000, subtype="PCM_16"):
    """A sound file, its folders made; a second of a tone, another for each name, unless samples are given."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if samples is None:
        frequency = 200 + zlib.crc32(path.name.encode()) % 1000
        samples = tone(sample_rate, frequency=frequency, sample_rate=sample_rate)
    soundfile.write(os.fsencode(path), samples, sample_rate, subtype=subtype)
    return path


def write_truncated(path, keep=0.5):
    """A sound file that ends in the middle, as an interrupted copy does."""
    path = write(path, subtype=None)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    return path


def write_nan(path):
    samples = tone(800)
    samples[100:103] = np.nan
    return write(path, samples, subtype="FLOAT")


def write_silence(path):
    return write(path, np.zeros(4000))


def write_text(path):
    Path(path).write_text("These are notes, not sound.\n" * 20)
    return Path(path)


def write_empty(path):
    Path(path).write_bytes(b"")
    return Path(path)


def write_m4a(path):
    Path(path).write_bytes(b"\0\0\0\x20ftypM4A \0\0\0\0" + b"\0" * 200)
    return Path(path)


# What can be wrong with a file -> how to make one so, and a part of what is said of it.
BAD = {
    "zero-length": (write_empty, "bad.wav", "is empty"),
    "without samples": (lambda path: write(path, np.zeros(0)), "bad.wav", "has no samples"),
    "truncated WAV": (write_truncated, "bad.wav", "is truncated"),
    "truncated AIFF": (write_truncated, "bad.aiff", "is truncated"),
    "truncated AU": (write_truncated, "bad.au", "is truncated"),
    "truncated FLAC": (write_truncated, "bad.flac", "is truncated"),
    "truncated Ogg": (write_truncated, "bad.ogg", "is truncated"),
    "truncated MP3": (write_truncated, "bad.mp3", "is truncated"),
    "cut in its header": (lambda path: write_truncated(path, 0.001), "bad.wav", "is truncated"),
    "not audio": (write_text, "bad.wav", "is not audio"),
    "NaN": (write_nan, "bad.wav", "3 of 800 samples are NaN"),
    "M4A": (write_m4a, "bad.m4a", "ffmpeg -i 'bad.m4a' 'bad.flac'"),
    "M4A called WAV": (write_m4a, "bad.wav", "MPEG-4 audio is not read"),
    "in other units": (
        lambda path: write(path, 30000 * tone(800), subtype="FLOAT"),
        "bad.wav",
        "beyond full scale 1",
    ),
}
