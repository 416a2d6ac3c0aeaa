"""The tasks by name."""

from typing import Any

from wavedil.config import read_named
from wavedil.errors import require_known
from wavedil.tasks.autoencoder import AutoencoderTask
from wavedil.tasks.classifier import ClassifierTask
from wavedil.tasks.diffusion import DiffusionTask
from wavedil.tasks.effect import EffectTask
from wavedil.tasks.features import FeaturesTask
from wavedil.tasks.generator import GeneratorTask
from wavedil.tasks.vocoder import VocoderTask
from wavedil.training.task import Task

TASKS: dict[str, Any] = {
    "generator": GeneratorTask,
    "vocoder": VocoderTask,
    "autoencoder": AutoencoderTask,
    "classifier": ClassifierTask,
    "diffusion": DiffusionTask,
    "effect": EffectTask,
    "features": FeaturesTask,
}
"""Name -> the task's class. One of your own: `TASKS["my task"] = MyTask`."""


def named_task(name: str) -> Task:
    """The task of that name with its default options.

    Raises:
      UserError: If there is none.
    """
    require_known("task", name, TASKS)
    task: Task = TASKS[name]()
    return task


def task_config(values: Any) -> Task:
    """The task that `Config.to_dict` wrote.

    Raises:
      UserError: If there is none of that name, or its options are refused.
    """
    task: Task = read_named("task", values, TASKS)
    return task
