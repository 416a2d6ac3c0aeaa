"""Training runs: their configuration and folder, how they start, and how a trained model is scored."""

from .config import from_values as from_values
from .config import read_config as read_config
from .config import to_values as to_values
from .description import model_facts as model_facts
from .description import what_next as what_next
from .folder import RunFolder as RunFolder
from .listening import generated_sounds as generated_sounds
from .listening import held_out_recordings as held_out_recordings
from .listening import short_names as short_names
from .listening import sounds_by_step as sounds_by_step
from .published import PUBLISHED as PUBLISHED
from .scoring import evaluate as evaluate
from .scoring import held_out_apart as held_out_apart
from .scoring import read_all as read_all
from .start import settings_of as settings_of
from .start import settings_to_resume as settings_to_resume
from .training_run import Run as Run
from .training_run import train as train
from .training_run import train_as as train_as
from .training_run import train_shown as train_shown
