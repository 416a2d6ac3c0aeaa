"""What the shards of a folder hold, as far as they are there."""

from pathlib import Path
from typing import Any

from wavedil.data.shards.codes import Shard
from wavedil.data.shards.folder import missing_shards, read_settings, shard_path
from wavedil.data.shards.format import PreparedConfig
from wavedil.errors import UserError


def shard_facts(folder: Path) -> dict[str, Any]:
    """Settings, recordings, seconds, labels and parts, by name.

    Raises:
      UserError: If the folder holds no shards, or those of another version.
    """
    settings = read_settings(folder)
    missing, stored, damaged = missing_shards(folder, settings), [], []
    for number in range(settings.num_shards):
        path = shard_path(folder, number, settings.num_shards)
        if path.name in missing:
            continue
        try:
            stored += Shard(path).index().recordings
        except UserError as error:
            damaged.append(str(error).removeprefix(f"{folder}/").split(";")[0])
    names = sorted({name for item in stored for name in item.labels})
    there = settings.num_shards - len(missing)
    return {
        "shards": f"{there} of {settings.num_shards}",
        "missing": missing,
        "damaged": damaged,
        "recordings": sum(not item.reason for item in stored),
        "unusable": sum(bool(item.reason) for item in stored),
        "seconds": sum(item.num_samples for item in stored) / settings.sample_rate,
        "labels": {
            name: sorted({item.labels[name] for item in stored if name in item.labels})
            for name in names
        },
        "splits": sorted({item.split for item in stored if item.split}),
        "features": _features(settings),
        "settings": settings.to_dict(),
    }


def _features(settings: PreparedConfig) -> str:
    if settings.mel is not None:
        return "mel spectra" + (" and pitch" if settings.pitch else "")
    hop = settings.features_hop
    return "none" if hop is None else f"of your own, every {hop} samples"
