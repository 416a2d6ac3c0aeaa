"""Pictures, the calculator page, progress."""

from .pictures import loss_curve as loss_curve
from .pictures import waveform_and_spectrogram as waveform_and_spectrogram
from .progress import progress as progress
from .progress import say as say
from .progress import training_progress as training_progress
