"""`wavedil demo` with few steps: python first_command.py FOLDER."""

import dataclasses
import sys

from wavedil.cli import demo
from wavedil.cli.main import main

demo._TRAINING = dataclasses.replace(demo._TRAINING, steps=20, evaluate_every=20)
sys.exit(main(["demo", "--out", sys.argv[1]]))
