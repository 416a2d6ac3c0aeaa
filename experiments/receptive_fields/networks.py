"""The well-known networks, what was published of their fields, and how much of them is probed."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from audio_networks import (
    amp,
    conv_tasnet,
    mel_stem,
    micro_tcn,
    strided_encoder,
    tcn,
    wav2vec_context,
    wavenet,
)
from image_networks import aspp, context_module, resnet50

CYCLE = tuple(2**i for i in range(10))
A2_CYCLE = tuple((6, dilation) for dilation in (1, 3, 7, 17, 41, 101, 239))
WAV2VEC2 = ((10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Network:
    """A network and what is said of it.

    Attributes:
      run: x and a width -> outputs.
      width: Channels as published; traced so. Probed are copies of four channels, for a field is no matter of width.
      published: Size, or None where nothing is said.
      stride: The published inputs per output.
      source: Where that stands.
      why: Why the measured field is another one, or what there is to know.
      num_samples: Inputs that are traced.
      probed: Inputs that are probed, in the middle of the signal; None for all of them.
      shape: Of one sample of the input: (channels,), or (columns, channels) of an image.
    """

    name: str
    run: Callable[[Any, int], Any]
    width: int
    published: int | None
    stride: int = 1
    source: str
    why: str = ""
    num_samples: int = 32000
    probed: int | None = 4
    shape: tuple[int, ...] = (1,)

    def signal(self, num_samples: int, shape: tuple[int, ...] | None = None) -> Any:
        """The input of the network."""
        return jax.ShapeDtypeStruct((1, num_samples, *(shape or self.shape)), jnp.float32)

    def function(self, width: int) -> Callable[[Any], Any]:
        """The network of some width, of one argument."""
        return lambda x: self.run(x, width)


def _of(run: Callable[..., Any], **settings: Any) -> Callable[[Any, int], Any]:
    return functools.partial(run, **settings)


NETWORKS = (
    Network(
        name="WaveNet, 30 layers",
        run=_of(wavenet, kernel_size=2, cycles=3),
        width=64,
        published=3070,
        source="arXiv:1609.03499: 1024 a cycle of 10 layers; three are 1 + 3 x 1023",
    ),
    Network(
        name="WaveNet, input kernel 2",
        run=_of(wavenet, kernel_size=2, cycles=3, input_kernel=2),
        width=64,
        published=3070,
        source="kan-bayashi/PytorchWaveNetVocoder",
        why="the formula leaves out the input convolution, which sees one sample more",
    ),
    Network(
        name="tensorflow-wavenet, 50 layers",
        run=_of(wavenet, kernel_size=2, cycles=5, input_kernel=2),
        width=32,
        published=5117,
        source="ibab/tensorflow-wavenet",
    ),
    Network(
        name="WaveNet on SC09",
        run=_of(wavenet, kernel_size=2, cycles=4),
        width=64,
        published=4093,
        source="SaShiMi's baseline, arXiv:2202.09729",
    ),
    Network(
        name="NSynth decoder",
        run=_of(wavenet, kernel_size=3, cycles=3, input_kernel=3),
        width=512,
        published=6141,
        source="arXiv:1704.01279",
    ),
    Network(
        name="TCN, 8 levels, kernel 7",
        run=_of(tcn, kernel_size=7, levels=8),
        width=25,
        published=1531,
        source="arXiv:1803.01271: a level reaches (k - 1) d back, 1 + 6 x 255 in all",
        why="a level has two convolutions and reaches 2 (k - 1) d back",
    ),
    Network(
        name="TCN, 6 levels, kernel 3",
        run=_of(tcn, kernel_size=3, levels=6),
        width=25,
        published=253,
        source="philipperemy/keras-tcn, with the 2",
    ),
    Network(
        name="Conv-TasNet's separator",
        run=_of(conv_tasnet, global_norm=False),
        width=128,
        published=12256,
        stride=8,
        source="arXiv:1809.07454: 1.53 s at 8 kHz, 1531 frames of 16 samples every 8",
        probed=32,
    ),
    Network(
        name="Conv-TasNet, global layer norm",
        run=_of(conv_tasnet, global_norm=True),
        width=128,
        published=12256,
        stride=8,
        source="the paper's best network, same figure",
        why="each block normalises over all of time, so every output sees every input",
        probed=32,
    ),
    Network(
        name="micro-TCN 100",
        run=_of(micro_tcn, kernel_size=5, blocks=4),
        width=32,
        published=4445,
        source="arXiv:2102.06200",
        why="kernel 5 under dilations that grow tenfold leaves holes; 625 of the 4,445 samples are seen",
    ),
    Network(
        name="micro-TCN 300",
        run=_of(micro_tcn, kernel_size=13, blocks=4),
        width=32,
        published=13333,
        source="arXiv:2102.06200",
    ),
    Network(
        name="micro-TCN 1000",
        run=_of(micro_tcn, kernel_size=5, blocks=5),
        width=32,
        published=44445,
        source="arXiv:2102.06200",
        why="holes as well; 3,125 of the 44,445 samples are seen",
        num_samples=96000,
    ),
    Network(
        name="amp model A1",
        run=_of(amp, arrays=[[(3, dilation) for dilation in CYCLE]] * 2),
        width=16,
        published=4093,
        source="Neural Amp Modeler, standard",
    ),
    Network(
        name="amp model A2",
        run=_of(amp, arrays=[[*A2_CYCLE * 2, (15, 1), (15, 13), *A2_CYCLE]], head_kernel=16),
        width=8,
        published=6347,
        source="Neural Amp Modeler, A2",
    ),
    Network(
        name="ResNet-50, stride in 1x1",
        run=_of(resnet50, stride_in="1x1"),
        width=64,
        published=483,
        stride=32,
        source="Araujo et al. 2019, doi:10.23915/distill.00021, of arXiv:1512.03385",
        num_samples=1600,
        probed=64,
        shape=(224, 3),
    ),
    Network(
        name="ResNet-50 v1.5, stride in 3x3",
        run=_of(resnet50, stride_in="3x3"),
        width=64,
        published=483,
        stride=32,
        source="the figure of the original, often quoted for this one",
        why="the first 3x3 of a stage strides itself, so its taps lie half as far apart as after a strided 1x1",
        num_samples=1600,
        probed=64,
        shape=(224, 3),
    ),
    Network(
        name="log-Mel and Whisper's two convolutions",
        run=mel_stem,
        width=384,
        published=None,
        stride=320,
        source="arXiv:2212.04356: 25 ms every 10 ms, then kernels 3 and 3 by 2",
        why="400 + 2 x 160 + 2 x 160 samples, 65 ms",
        num_samples=32000,
        probed=640,
    ),
    Network(
        name="wav2vec",
        run=wav2vec_context,
        width=512,
        published=3360,
        stride=160,
        source="arXiv:1904.05862: about 210 ms at 16 kHz",
        why="465 + 9 x 2 x 160 samples are 209 ms; the figure is rounded, and leaves out the group norm over time",
        probed=320,
    ),
    Network(
        name="wav2vec 2.0 encoder, large",
        run=_of(strided_encoder, layers=WAV2VEC2, group_norm=False),
        width=512,
        published=400,
        stride=320,
        source="arXiv:2006.11477: 400 samples, 25 ms, every 20 ms",
        probed=640,
    ),
    Network(
        name="wav2vec 2.0 encoder, base",
        run=_of(strided_encoder, layers=WAV2VEC2, group_norm=True),
        width=512,
        published=400,
        stride=320,
        source="the same figure",
        why="the first layer normalises each channel over all of time",
        probed=640,
    ),
    Network(
        name="context module",
        run=context_module,
        width=21,
        published=67,
        source="Yu and Koltun, arXiv:1511.07122, table 1",
        num_samples=256,
        probed=None,
        shape=(256, 21),
    ),
    Network(
        name="ASPP head, rates 6, 12, 18",
        run=_of(aspp, image_pooling=False),
        width=256,
        published=37,
        source="arXiv:1706.05587: kernel 3 at rate 18 spans 37 cells",
        why="only 7 of the 37 cells of a row are seen",
        num_samples=128,
        probed=None,
        shape=(128, 256),
    ),
    Network(
        name="ASPP head with image pooling",
        run=_of(aspp, image_pooling=True),
        width=256,
        published=37,
        source="arXiv:1706.05587",
        why="the mean of the image is seen everywhere",
        num_samples=128,
        probed=None,
        shape=(128, 256),
    ),
)
