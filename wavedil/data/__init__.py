"""Recordings to batches: corpora, pairs, training windows, and a corpus of plucked strings."""

from wavedil.data.config import CorpusConfig as CorpusConfig
from wavedil.data.corpus import Corpus as Corpus
from wavedil.data.corpus import Skipped as Skipped
from wavedil.data.corpus import spread as spread
from wavedil.data.labelled_windows import LabelledBatch as LabelledBatch
from wavedil.data.labelled_windows import LabelledWindows as LabelledWindows
from wavedil.data.pair import Pair as Pair
from wavedil.data.pair_reading import read_pairs as read_pairs
from wavedil.data.pair_windows import PairBatch as PairBatch
from wavedil.data.pair_windows import PairWindows as PairWindows
from wavedil.data.plucked_strings import write_plucked_strings as write_plucked_strings
from wavedil.data.reading import read_corpus as read_corpus
from wavedil.data.recording import Recording as Recording
from wavedil.data.shards.folder import is_prepared as is_prepared
from wavedil.data.shards.preparing import prepare as prepare
from wavedil.data.shards.summary import shard_facts as shard_facts
from wavedil.data.sounds import read_sounds as read_sounds
from wavedil.data.windows import Batch as Batch
from wavedil.data.windows import TrainingWindows as TrainingWindows
from wavedil.data.windows import default_window_size as default_window_size
from wavedil.frames import BEYOND as BEYOND
