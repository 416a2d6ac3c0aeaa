"""The compiled engine: causal networks in real time on a CPU, sample by sample or block by block."""

from .compilation import compile_seconds as compile_seconds
from .plan import UnservedError as UnservedError
from .playing import AmpPlayer as AmpPlayer
from .playing import WaveNetPlayer as WaveNetPlayer
from .playing import player as player
from .program import Weights as Weights
from .samples import Samples as Samples
from .samples import require_served as require_served
