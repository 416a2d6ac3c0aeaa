"""Tasks: what is trained for what."""

from .autoencoder import AutoencoderTask as AutoencoderTask
from .classifier import ClassifierTask as ClassifierTask
from .diffusion import DiffusionTask as DiffusionTask
from .effect import EffectTask as EffectTask
from .features import FeaturesTask as FeaturesTask
from .generator import GeneratorTask as GeneratorTask
from .registry import TASKS as TASKS
from .registry import named_task as named_task
from .registry import task_config as task_config
from .vocoder import VocoderTask as VocoderTask
