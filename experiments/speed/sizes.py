"""The sizes of the full measurement, and tiny ones that only show that it works."""

import dataclasses
from typing import Self

from wavedil.models import WaveNetConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    model: WaveNetConfig = dataclasses.field(default_factory=WaveNetConfig.paper)
    rounds: int = 9
    """Times that everything compared takes its turn."""
    num_samples: int = 16384
    """Samples of a training step, batch 1."""
    matmul: int = 2048
    compilations: int = 3
    processes: int = 3
    """Fresh processes for each peak of memory that is compared; the sweeps take one each."""
    lengths: tuple[int, ...] = (4096, 8192, 16384, 32768, 65536)
    cycles: tuple[int, ...] = (1, 2, 3, 4)
    drawn: int = 5000
    peer_drawn: int = 1000
    """Samples drawn in a turn."""
    late: int = 100_000
    """Samples of a sound whose last stretch is timed against its first."""
    batch_sizes: tuple[int, ...] = (1, 8, 32)
    batch_steps: int = 1000
    starts: int = 7
    ragged: tuple[tuple[tuple[int, ...], int], ...] = (
        ((8, 9, 11, 12, 12, 13, 15, 16), 8),
        ((3, 9, 4, 8, 5, 7, 6, 6) * 8, 64),
    )
    """Frames of sounds of different lengths, and how many equal ones they are compared with."""

    @classmethod
    def smoke(cls) -> Self:
        return cls(
            model=WaveNetConfig.tiny(),
            rounds=2,
            num_samples=512,
            matmul=128,
            compilations=1,
            processes=1,
            lengths=(256, 512),
            cycles=(1, 2),
            drawn=100,
            peer_drawn=20,
            late=5000,
            batch_sizes=(1, 2),
            batch_steps=20,
            starts=1,
            ragged=(((1, 3), 2),),
        )
