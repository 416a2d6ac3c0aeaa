"""How good a model is: likelihood, resynthesis, distances of spectra, baselines."""

from .baselines import baseline_bits as baseline_bits
from .baselines import bigram_bits as bigram_bits
from .baselines import histogram_bits as histogram_bits
from .classification import Follower as Follower
from .classification import classify as classify
from .classification import confusion as confusion
from .classification import probabilities as probabilities
from .classification import require_classifier as require_classifier
from .likelihood import bits as bits
from .phase_recovery import griffin_lim as griffin_lim
from .resynthesis import Distances as Distances
from .resynthesis import mean_distances as mean_distances
from .resynthesis import resynthesize as resynthesize
from .resynthesis import with_baselines as with_baselines
from .scores import UNLABELLED as UNLABELLED
from .scores import Scores as Scores
from .scores import means as means
from .spectral_distance import StftDistance as StftDistance
from .spectral_distance import mean_spectra_distance_db as mean_spectra_distance_db
from .spectral_distance import mel_cepstral_distortion_db as mel_cepstral_distortion_db
from .spectral_distance import multi_resolution_stft as multi_resolution_stft
from .spectral_distance import require_comparable as require_comparable
