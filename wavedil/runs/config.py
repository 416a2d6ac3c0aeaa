"""The configuration of a run in JSON."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wavedil.data.config import CorpusConfig
from wavedil.errors import UserError
from wavedil.files import read_json
from wavedil.formats import version_1
from wavedil.models.registry import model_config
from wavedil.tasks.registry import task_config
from wavedil.training.config import TrainingConfig
from wavedil.training.task import RunConfig

FORMAT_VERSION = 2


def to_values(config: RunConfig) -> dict[str, Any]:
    """The configuration as JSON values, with the version of their form."""
    return {"format_version": FORMAT_VERSION, **config.to_dict()}


def from_values(values: Mapping[str, Any], what: str = "the configuration") -> RunConfig:
    """The configuration that `to_values` wrote, in this version or in the one before.

    Args:
      values: As they are read.
      what: Where they come from, for people.

    Raises:
      UserError: If they are no configuration of a run, of a future version, or refused.
    """
    if values.get("corpus") is None:
        raise UserError(
            f"{what} is not the configuration of a training run, which says what it was trained on; give a run folder"
        )
    version = values.get("format_version", 1)
    if version not in (1, FORMAT_VERSION):
        raise UserError(
            f"{what} has format version {version!r}, but this wavedil reads up to {FORMAT_VERSION}; "
            "install a newer wavedil"
        )
    try:
        if version == 1:
            values = version_1.run_config(values)
        return RunConfig(
            task=task_config(values.get("task")),
            corpus=CorpusConfig.from_dict(values["corpus"]),
            model=model_config(values.get("model", {})),
            training=TrainingConfig.from_dict(values.get("training", {})),
            recordings_fingerprint=str(values.get("recordings_fingerprint", "")),
            start_from=str(values.get("start_from", "")),
        )
    except UserError as error:
        raise UserError(f"{what}: {error}") from None
    except (TypeError, ValueError, AttributeError, KeyError):  # another form than that of version 1
        raise UserError(f"{what} is damaged; restore it, or start a new run") from None


def read_config(path: Path) -> RunConfig:
    """The configuration in a run folder, or in a file like its config.json.

    Raises:
      UserError: If it cannot be read, or as `from_values`; it names the file.
    """
    path = path / "config.json" if path.is_dir() else path
    return from_values(read_json(path, "give a run folder, or the config.json of one"), str(path))
