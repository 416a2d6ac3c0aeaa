"""Whole models: settings without JAX, and the networks they describe."""

from .autoencoder import Autoencoder as Autoencoder
from .autoencoder_config import AutoencoderConfig as AutoencoderConfig
from .autoencoder_config import EncoderConfig as EncoderConfig
from .compilation import compiled as compiled
from .conditioning import Conditioning as Conditioning
from .context_stack import ContextStackConfig as ContextStackConfig
from .diffwave import DiffWave as DiffWave
from .diffwave_config import DiffWaveConfig as DiffWaveConfig
from .encoder import Encoder as Encoder
from .local_conditioning import LocalConditioningConfig as LocalConditioningConfig
from .registry import MODELS as MODELS
from .registry import Model as Model
from .registry import abstract_model as abstract_model
from .registry import make_model as make_model
from .registry import model_config as model_config
from .registry import wavenet_of as wavenet_of
from .tcn import TCN as TCN
from .tcn_config import TCNConfig as TCNConfig
from .upsampler import FeatureUpsampler as FeatureUpsampler
from .wavenet import WaveNet as WaveNet
from .wavenet_config import WaveNetConfig as WaveNetConfig
from .weights import named_weights as named_weights
from .weights import with_weights as with_weights
