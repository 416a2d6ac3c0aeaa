"""Models in files."""

from .saved_model import load as load
from .saved_model import save as save
