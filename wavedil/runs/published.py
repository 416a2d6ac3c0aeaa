"""Settings of published results by name: the WaveNet rows of the SaShiMi table, ready and not run here.

    name           sound                           bits per sample, published
    "sc09"         spoken digits, clips of 1 s     1.925    mu-law
    "youtubemix"   piano, clips of 8.192 s         1.449    mu-law
    "beethoven"    piano, clips of 8 s             1.032    linear

All at 16 kHz and 256 levels, with one network of 4,244,480 parameters that sees 4093 samples. Recordings are the
clips, each normalised to full scale by its own minimum and maximum: without that the figures are not comparable.

Sizes, clips, scaling, optimizer, learning rate and batch are the publishers'. What is not: their learning rate falls
where the validation loss stays, ours along a cosine; they cut levels by truncation, here they are rounded; and how
long they trained is not said, so that `steps` is yours to set.

Reference: Goel et al. 2022 (SaShiMi), arXiv:2202.09729, and its code, github.com/state-spaces/s4.
"""

from wavedil.data.config import CorpusConfig
from wavedil.models.wavenet_config import WaveNetConfig
from wavedil.quantizer import Companding
from wavedil.tasks.generator import GeneratorTask
from wavedil.training.config import TrainingConfig
from wavedil.training.task import RunConfig


def _published(companding: Companding, clip_samples: int) -> RunConfig:
    model = WaveNetConfig(
        companding=companding,
        embedding_channels=256,
        input_kernel_size=1,
        cycles=4,
        skip_channels=1024,
        hidden_channels=512,
        bottleneck_channels=256,
        biases=False,
    )
    corpus = CorpusConfig(folder=".", sample_rate=16000, min_max_normalisation=True)
    training = TrainingConfig(
        window_size=clip_samples, batch_size=1, learning_rate=1e-3, weight_decay=0.0
    )
    return RunConfig(task=GeneratorTask(), corpus=corpus, model=model, training=training)


PUBLISHED = {
    "sc09": _published("mu_law", 16000),
    "youtubemix": _published("mu_law", 131072),
    "beethoven": _published("linear", 128000),
}
"""The configurations that `wavedil train --config NAME` takes; the folder is the user's."""
