"""What to train on: the settings of a corpus."""

import dataclasses

from wavedil.data.labels import compile_pattern, is_label
from wavedil.errors import UserError
from wavedil.features import MelSettings
from wavedil.levels import Levels, Scale
from wavedil.settings import Settings


@dataclasses.dataclass(frozen=True, kw_only=True)
class CorpusSettings(Settings):
    r"""What to train on.

    Held-out files are those whose path `test` matches; without it, those whose `split` is "test"
    in the manifest; without that, a seeded fraction of the files.

    Attributes:
      folder: A folder, walked recursively, or a manifest: CSV or JSON lines with a `path` column
        (relative to the manifest), perhaps `split` ("train" or "test"); other columns are labels.
      sample_rate: Hz; recordings at another rate are resampled. None: the rate most files have.
      labels: Pattern with named groups, searched in the path relative to the folder:
        `(?P<digit>\d)_(?P<speaker>\w+)_(?P<index>\d+)`. Every named group is a label, except
        `index` and names that begin with an underscore, which only describe the path; the same
        holds for a manifest's columns. A file that it does not match is unlabelled.
      test: Pattern searched in the relative path: `_[0-4]\.wav$` holds those files out.
      held_out: Fraction of the files to hold out where neither pattern nor manifest says.
      split_seed: Chooses that fraction.
      trim_db: Cut the start and end that are this many dB below a recording's loudest moment;
        None keeps everything.
      min_max: Stretch every recording to reach from -1 to 1, by its own minimum and maximum, as the loaders
        behind the published figures on SC09, YouTubeMix and Beethoven do. Loudness is lost, and bits per sample
        compare only with others taken so.
      strict: Stop at the first recording that cannot be used, rather than skip and count it.
      levels: Levels of a sample, 2 to 65536; a file that stores samples in fewer bits cannot be used.
      scale: Where the levels lie: "mu_law" or "linear".
      mel: For a vocoder: compute these log-mel spectra of every recording.
      features_hop: For a vocoder: read features of your own from `x.npy` beside `x.wav`, an array
        [frames, features] with a frame for every so many samples at `sample_rate`.
    """

    folder: str
    sample_rate: int | None = None
    labels: str | None = None
    test: str | None = None
    held_out: float = 0.1
    split_seed: int = 0
    trim_db: float | None = None
    min_max: bool = False
    strict: bool = False
    levels: int = 256
    scale: Scale = "mu_law"
    mel: MelSettings | None = None
    features_hop: int | None = None

    def __post_init__(self) -> None:
        Levels(self.levels, self.scale)  # refuses what is out of range
        if self.sample_rate is not None and self.sample_rate < 1:
            raise UserError(f"sample_rate is {self.sample_rate} Hz; it must be at least 1")
        if not 0 < self.held_out < 1:
            raise UserError(f"held_out is {self.held_out}; it must be between 0 and 1, 0.1 say")
        if self.trim_db is not None and self.trim_db <= 0:
            raise UserError(f"trim_db is {self.trim_db}; it must be above 0, 40 say")
        if self.features_hop is not None:
            self._check_features(self.features_hop)
        if self.test is not None:
            compile_pattern(self.test, "test")
        if self.labels is not None and not any(
            map(is_label, compile_pattern(self.labels, "labels").groupindex)
        ):
            raise UserError(
                f"labels {self.labels!r} names no label; write a named group, (?P<speaker>\\w+) say"
            )

    def _check_features(self, hop: int) -> None:
        if hop < 1:
            raise UserError(f"features_hop is {hop} samples; it must be at least 1")
        if self.mel is not None:
            raise UserError(
                f"features_hop is {hop}, and mel is given too; read features of your own, or compute mel spectra"
            )
        if self.trim_db is not None:
            raise UserError(
                f"trim_db is {self.trim_db}, which cuts the sound but not the features beside it; cut both "
                "beforehand and leave trim_db out"
            )
