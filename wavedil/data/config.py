"""Settings of a corpus: which recordings, and how they are read."""

import dataclasses

from wavedil.audio import MIX, channel_number
from wavedil.config import Config, decided
from wavedil.data.labels import compile_pattern, is_label
from wavedil.errors import UserError, quoted, require_positive


@dataclasses.dataclass(frozen=True, kw_only=True)
class CorpusConfig(Config):
    r"""Recordings to train on and to hold out.

    Held-out files are those whose path `test` matches; without it, those whose `split` is "test"
    in the manifest; without that, a seeded fraction of the files.

    Attributes:
      folder: A folder, walked recursively, or a manifest: CSV or JSON lines with a `path` column
        (relative to the manifest), perhaps `split` ("train" or "test"); other columns are labels. Or shards, which
        `prepare` wrote of them.
      sample_rate: Hz; recordings at another rate are resampled. None: the rate most files have.
      labels: Pattern with named groups, searched in the path relative to the folder:
        `(?P<digit>\d)_(?P<speaker>\w+)_(?P<index>\d+)`. Every named group is a label, except
        `index` and names that begin with an underscore, which only describe the path; the same
        holds for a manifest's columns. A file that it does not match is unlabelled.
      test: Pattern searched in the relative path: `_[0-4]\.wav$` holds those files out.
      held_out: Fraction of the files to hold out where neither pattern nor manifest says, and of a single recording,
        or of each pair of an effect, that share of its end; 1 holds out every file and 0 none, whatever they say.
      split_seed: Chooses that fraction.
      channel: "mix", the mean of all channels; "left" or "1", "right" or "2", or the number of another. A mono file is
        taken as it is.
      trim_db: Cut the start and end that are this many dB below a recording's loudest moment;
        None keeps everything.
      min_max_normalisation: Let every recording reach from -1 to 1, by its own minimum and maximum, as the loaders
        behind the published figures on SC09, YouTubeMix and Beethoven do. Loudness is lost, and bits per sample
        compare only with others taken so.
      strict: Stop at the first recording that cannot be used as it is, rather than skip and count it, or limit it to
        full scale.
    """

    folder: str = decided(by="the first argument")
    sample_rate: int | None = None
    labels: str | None = None
    test: str | None = None
    held_out: float = 0.1
    split_seed: int = 0
    channel: str = MIX
    trim_db: float | None = None
    min_max_normalisation: bool = False
    strict: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(sample_rate=self.sample_rate)
        channel_number(self.channel)
        if not 0 <= self.held_out <= 1:
            raise UserError(f"held_out is {self.held_out}; it must be between 0 and 1, 0.1 say")
        if self.trim_db is not None and not self.trim_db > 0:
            raise UserError(f"trim_db is {self.trim_db}; it must be above 0, 40 say")
        if self.test is not None:
            compile_pattern(self.test, "test")
        if self.labels is not None and not any(
            map(is_label, compile_pattern(self.labels, "labels").groupindex)
        ):
            raise UserError(
                f"labels {quoted(self.labels)} names no label; write a named group, (?P<speaker>\\w+) say"
            )
