"""Drawing sound from a model, sample by sample, and playing sound through one, block by block."""

from .conditions import Condition as Condition
from .conditions import between as between
from .conditions import of_features as of_features
from .conditions import of_sound as of_sound
from .conditions import require_autoencoder as require_autoencoder
from .conditions import with_pitch as with_pitch
from .diffusion import FAST_STEPS as FAST_STEPS
from .diffusion import diffuse as diffuse
from .diffusion import predicted_noise as predicted_noise
from .diffusion import require_diffusion as require_diffusion
from .drawing import Interrupted as Interrupted
from .engines import choose_engine as choose_engine
from .file_player import Played as Played
from .file_player import play_blocks as play_blocks
from .file_player import play_file as play_file
from .guidance import guidance_of as guidance_of
from .latents import as_vocoder as as_vocoder
from .latents import encode_sounds as encode_sounds
from .latents import interpolate as interpolate
from .sampler import generate as generate
from .sampler import state_bytes as state_bytes
from .stream import Player as Player
from .stream import Stream as Stream
from .synthesis import num_samples_of as num_samples_of
from .synthesis import read_recording as read_recording
from .synthesis import synthesize as synthesize
