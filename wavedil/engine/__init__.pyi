"""The compiled engine: causal networks in real time on a CPU, sample by sample or block by block."""

from .compilation import compile_seconds as compile_seconds
from .plan import UnservedError as UnservedError
from .player import AmpPlayer as AmpPlayer
from .player import WaveNetPlayer as WaveNetPlayer
from .player import player as player
from .program import Weights as Weights
from .samples import Samples as Samples
from .samples import require_served as require_served
