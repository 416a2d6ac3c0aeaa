"""Models in files."""

from . import nam as nam
from . import torch as torch
from .saved_model import load as load
from .saved_model import save as save
