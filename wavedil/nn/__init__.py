"""Layers under one contract: `layer(x)`, `layer.init_state`, `layer.step`, `layer.receptive_field`."""

from wavedil.nn.activations import ACTIVATIONS as ACTIVATIONS
from wavedil.nn.atrous_pyramid import AtrousPyramid as AtrousPyramid
from wavedil.nn.context_module import ContextModule as ContextModule
from wavedil.nn.context_stack import ContextStack as ContextStack
from wavedil.nn.conv import Conv1d as Conv1d
from wavedil.nn.conv2d import Conv2d as Conv2d
from wavedil.nn.delayed import Delayed as Delayed
from wavedil.nn.diffusion_block import DiffusionBlock as DiffusionBlock
from wavedil.nn.dilated_stack import DilatedStack as DilatedStack
from wavedil.nn.downsample import Downsample as Downsample
from wavedil.nn.film import FiLM as FiLM
from wavedil.nn.gated_block import GatedBlock as GatedBlock
from wavedil.nn.layer import Layer as Layer
from wavedil.nn.layer import require_causal as require_causal
from wavedil.nn.pitch_conv import PitchConv1d as PitchConv1d
from wavedil.nn.pitch_stack import PitchStack as PitchStack
from wavedil.nn.pooling import last_step as last_step
from wavedil.nn.pooling import mean_step as mean_step
from wavedil.nn.separable_block import DepthwiseSeparableBlock as DepthwiseSeparableBlock
from wavedil.nn.sequential import Sequential as Sequential
from wavedil.nn.temporal_block import TemporalBlock as TemporalBlock
from wavedil.nn.temporal_conv_net import TemporalConvNet as TemporalConvNet
from wavedil.nn.upsample import RepeatUpsample as RepeatUpsample
from wavedil.nn.upsample import SubPixelUpsample as SubPixelUpsample
from wavedil.nn.wavelet import AtrousWavelet as AtrousWavelet
from wavedil.nn.wavelet import AtrousWaveletSynthesis as AtrousWaveletSynthesis
