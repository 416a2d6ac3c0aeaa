"""The sounds that a run draws while it trains, the same few each time, by which one hears it learn.

RUN/samples/
    step-000500/    1.wav, 2.wav ..., and made.json, which is written last: where it is they are all there
    recordings/     what these should sound like, of a model that makes recordings again
"""

import re
import shutil
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wavedil.audio.writing import encoded
from wavedil.errors import UserError
from wavedil.files import replacing, write_json, writing
from wavedil.models.registry import Model
from wavedil.runs.folder import RunFolder
from wavedil.training.metrics import MetricsLog
from wavedil.training.task import Example, RunConfig

EXAMPLE_SECONDS, NUM_EXAMPLES = 3.0, 3
"""Held-out sound that the examples are looked for in, and how many of its pieces there are at most."""
MADE, RECORDINGS = "made.json", "recordings"


def step_folders(run: RunFolder) -> dict[int, Path]:
    """Step -> the folder of its sounds, in the order of the steps."""
    found = {}
    for folder in run.samples.glob("step-*"):
        step = re.fullmatch(r"step-(\d+)", folder.name, re.ASCII)
        if step and (folder / MADE).is_file():
            found[int(step[1])] = folder
    return dict(sorted(found.items()))


def forget_after(run: RunFolder, step: int) -> None:
    """Deletes the sounds of steps that will be taken again."""
    for later, folder in step_folders(run).items():
        if later > step:
            shutil.rmtree(folder)


class SampleFiles:
    """Draws the sounds of a run and writes them; a `training.loop.Sampler`.

    What is drawn depends on the weights alone, and changes nothing of the training. Sounds of a step that a crash cut
    short are drawn again when the run is taken up, and those that are there are not.

    Args:
      run: Whose folder they go to.
      config: Resolved.
      recordings: A few of those held out.
      log: Is given the sounds too.
      warn: Called with a line where none can be drawn, which ends no training.
    """

    def __init__(
        self,
        run: RunFolder,
        config: RunConfig,
        recordings: Sequence[Any],
        log: MetricsLog,
        warn: Callable[[str], None],
    ) -> None:
        self._folder, self._config, self._recordings = run.samples, config, recordings
        self._log, self._warn = log, warn
        self._every = config.training.sample_every

    def due(self, step: int) -> bool:
        """Whether sounds are to be drawn after that step, and are not there yet."""
        now = step > 0 and self._every > 0 and step % self._every == 0
        return now and not (self._of_step(step) / MADE).exists()

    def draw(self, step: int, model: Model, progress: Callable[[int, int], None]) -> None:
        """Draws and writes them.

        Raises:
          WriteError: If the disk is full, or refuses.
        """
        with warnings.catch_warnings():
            # That sounds are dull at first, or too loud, is what one listens for.
            warnings.simplefilter("ignore", UserWarning)
            try:
                examples = self._config.task.examples(model, self._recordings, progress)
            except UserError as error:
                self._warn(f"no sounds of step {step}: {error}")
                return
        if not examples:
            return
        originals = [example for example in examples if example.recording is not None]
        if originals and not (self._folder / RECORDINGS / MADE).exists():
            sounds = [np.asarray(example.recording) for example in originals]
            self._write(step, self._folder / RECORDINGS, sounds, originals)
        sounds = [np.clip(example.samples, -1.0, 1.0) for example in examples]
        self._write(step, self._of_step(step), sounds, examples)

    def _of_step(self, step: int) -> Path:
        return self._folder / f"step-{step:06d}"

    def _write(
        self, step: int, folder: Path, sounds: Sequence[np.ndarray], examples: Sequence[Example]
    ) -> None:
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        rate: int = self._config.model.sample_rate
        numbered = {str(number): samples for number, samples in enumerate(sounds, start=1)}
        for name, samples in numbered.items():
            with replacing(folder / f"{name}.wav") as scratch:
                scratch.write_bytes(encoded(samples, rate, "WAV"))
        made = {
            "sounds": [f"{name}.wav" for name in numbered],
            "labels": [dict(example.labels) for example in examples],
            "of": [example.of for example in examples],
        }
        write_json(folder / MADE, made)
        group = "recordings" if folder.name == RECORDINGS else "samples"
        named = {f"{group}/{name}": samples for name, samples in numbered.items()}
        self._log.sounds(step, named, rate)
