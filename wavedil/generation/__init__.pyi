"""Drawing sound from a model, sample by sample."""

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
from .latents import as_vocoder as as_vocoder
from .latents import encode_sounds as encode_sounds
from .latents import interpolate as interpolate
from .sampler import generate as generate
from .sampler import state_bytes as state_bytes
from .synthesis import num_samples_of as num_samples_of
from .synthesis import read_recording as read_recording
from .synthesis import synthesize as synthesize
