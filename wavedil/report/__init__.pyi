"""Pictures, the calculator page, progress."""

from .calculator_page import write_page as write_page
from .confusion_picture import draw_confusion as draw_confusion
from .effective_field_picture import draw_effective_field as draw_effective_field
from .listening_page import Column as Column
from .listening_page import RunFacts as RunFacts
from .listening_page import Sound as Sound
from .listening_page import write_listening_page as write_listening_page
from .pictures import loss_curve as loss_curve
from .pictures import waveform_and_spectrogram as waveform_and_spectrogram
from .receptive_field_pictures import draw_stack as draw_stack
from .terminal import escaped_output as escaped_output
from .terminal import progress as progress
from .terminal import say as say
from .terminal import training_progress as training_progress
