"""Recordings to batches: corpora, training windows, baselines and a corpus of plucked strings."""

from wavedil.data.baselines import bigram_bits as bigram_bits
from wavedil.data.baselines import histogram_bits as histogram_bits
from wavedil.data.corpus import Corpus as Corpus
from wavedil.data.corpus import Recording as Recording
from wavedil.data.corpus import Skipped as Skipped
from wavedil.data.corpus import read_corpus as read_corpus
from wavedil.data.corpus import read_recordings as read_recordings
from wavedil.data.settings import CorpusSettings as CorpusSettings
from wavedil.data.windows import Batch as Batch
from wavedil.data.windows import TrainingWindows as TrainingWindows
