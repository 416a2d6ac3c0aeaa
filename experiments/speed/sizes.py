"""The sizes of the full measurement, and tiny ones that only show that it works."""

import dataclasses
from collections.abc import Mapping
from typing import Self

from wavedil.models import WaveNetConfig


@dataclasses.dataclass(frozen=True)
class Recordings:
    """The recordings of a corpus."""

    sample_rate: int
    lengths: tuple[int, ...]
    """Samples of each."""
    num_channels: int = 1


@dataclasses.dataclass(frozen=True)
class TemporalSizes:
    """A temporal convolutional network and its signal."""

    name: str
    channels: int
    levels: int
    kernel_size: int
    batch_size: int = 1
    num_samples: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    model: WaveNetConfig = dataclasses.field(default_factory=WaveNetConfig.paper)
    rounds: int = 9
    """Times that everything compared takes its turn."""
    num_samples: int = 16384
    """Samples of a training step, batch 1."""
    matmul: int = 2048
    stacks: tuple[tuple[int, int, int], ...] = ((64, 1, 16384), (16, 8, 4096))
    """Channels, batch size and samples of a `DilatedStack` by itself."""
    compilations: int = 3
    processes: int = 3
    """Fresh processes for each peak of memory that is compared; the sweeps take one each."""
    temporal: tuple[TemporalSizes, ...] = (
        TemporalSizes("24 channels, 8 levels of 8 taps, 32 x 600", 24, 8, 8, 32, 600),
        TemporalSizes("64 channels, 10 levels of 3 taps, 8 x 2,048", 64, 10, 3, 8, 2048),
    )
    streamed: TemporalSizes = TemporalSizes("streamed", 64, 10, 3)
    streamed_frames: int = 500
    lengths: tuple[int, ...] = (4096, 8192, 16384, 32768, 65536)
    cycles: tuple[int, ...] = (1, 2, 3, 4)
    drawn: int = 5000
    peer_drawn: int = 1000
    """Samples drawn in a turn."""
    late: int = 100_000
    """Samples of a sound whose last stretch is timed against its first."""
    batch_sizes: tuple[int, ...] = (1, 8, 32)
    batch_steps: int = 1000
    small: WaveNetConfig = dataclasses.field(
        default_factory=lambda: WaveNetConfig(cycles=2, residual_channels=32, skip_channels=128)
    )
    """The smaller net that the engine draws from."""
    engine_drawn: int = 2000
    engine_batch: int = 16
    effect_blocks: tuple[int, ...] = (64, 2048)
    effect_seconds: float = 60.0
    """Sound that an effect is played for."""
    starts: int = 7
    ragged: tuple[tuple[tuple[int, ...], int], ...] = (
        ((8, 9, 11, 12, 12, 13, 15, 16), 8),
        ((3, 9, 4, 8, 5, 7, 6, 6) * 8, 64),
    )
    """Frames of sounds of different lengths, and how many equal ones they are compared with."""
    wavelets: tuple[tuple[str, int], ...] = (("haar", 4), ("db2", 5), ("db4", 8), ("sym8", 6))
    """Wavelets and their levels."""
    wavelet_samples: int = 2**20
    corpora: Mapping[str, Recordings] = dataclasses.field(
        default_factory=lambda: {
            "six songs of four minutes, 44.1 kHz": Recordings(44100, (240 * 44100,) * 6, 2),
            "notes of 4 s, 16 kHz": Recordings(16000, (64000,) * 100),
            "clips of 1 s, 16 kHz": Recordings(16000, (16000,) * 400),
            "one hour in one file, 16 kHz": Recordings(16000, (3600 * 16000,)),
            "spoken digits, 8 kHz": Recordings(
                8000, tuple(1500 + 37 * n % 4500 for n in range(300))
            ),
            "an hour beside a thousand clips": Recordings(16000, (3600 * 16000, *(16000,) * 1000)),
        }
    )
    demo_steps: int | None = None
    """Of `wavedil demo`; None: as many as it takes."""
    batches: int = 6
    """Training steps in a turn."""
    corpora_rounds: int = 5
    peer_windows: tuple[int, ...] = (4096, 8192, 16384)
    scored: int = 320_000
    shards: Recordings = Recordings(44100, (10 * 44100,) * 120, 2)
    """Recordings that are prepared."""
    shard_rounds: int = 5
    shard_hours: int = 1000
    host_rounds: int = 3
    host_window: int = 8192
    host_steps: int = 20
    gpu_matmul: int = 8192
    gpu_channels: tuple[int, ...] = (64, 128, 256)
    gpu_batch: int = 16
    gpu_batch_sizes: tuple[int, ...] = (1, 8, 64, 256, 1024, 4096)
    gpu_draws: int = 3
    """Sounds drawn of each batch size."""
    gpu_repeats: int = 20
    """Calls in a turn, one after another on the device."""

    @classmethod
    def smoke(cls) -> Self:
        return cls(
            model=WaveNetConfig.tiny(),
            rounds=2,
            num_samples=512,
            matmul=128,
            stacks=((4, 2, 256),),
            temporal=(TemporalSizes("tiny", 4, 2, 3, 2, 50),),
            streamed=TemporalSizes("streamed", 4, 2, 3),
            streamed_frames=20,
            compilations=1,
            processes=1,
            lengths=(256, 512),
            cycles=(1, 2),
            drawn=100,
            peer_drawn=20,
            late=5000,
            batch_sizes=(1, 2),
            batch_steps=20,
            small=WaveNetConfig.tiny(cycles=1),
            engine_drawn=50,
            engine_batch=5,
            effect_seconds=0.2,
            starts=1,
            ragged=(((1, 3), 2),),
            wavelets=(("haar", 2), ("db2", 1)),
            wavelet_samples=256,
            corpora={
                "long": Recordings(8000, (20000, 15000), 2),
                "short": Recordings(8000, (3000, 5000, 4000)),
            },
            demo_steps=20,
            batches=2,
            corpora_rounds=2,
            peer_windows=(256, 512),
            scored=1000,
            shards=Recordings(44100, (44100,) * 4, 2),
            shard_rounds=2,
            shard_hours=1,
            host_rounds=1,
            host_window=256,
            host_steps=4,
            gpu_matmul=128,
            gpu_channels=(4, 8),
            gpu_batch=2,
            gpu_batch_sizes=(1, 3),
            gpu_draws=2,
            gpu_repeats=2,
        )
