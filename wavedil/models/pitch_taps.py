"""What a WaveNet sees of the sound one pitch period ago: at its input, or in the blocks of its last cycle."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from wavedil.models.wavenet_config import INPUT_SPREAD, WaveNetConfig
from wavedil.nn import Conv1d, PitchConv1d, PitchStack


def pitch_entry(config: WaveNetConfig, rngs: nnx.Rngs) -> Conv1d | None:
    """From the samples as they enter to the few numbers of each that are gathered: all channels would cost as much as
    a layer of the stack.
    """
    if config.follows_pitch != "input":
        return None
    channels = config.pitch_channels
    return Conv1d(config.input_channels, channels, kernel_size=1, use_bias=False, rngs=rngs)


def pitch_input(config: WaveNetConfig, rngs: nnx.Rngs) -> PitchConv1d | None:
    """From what `pitch_entry` gives to what is added to the stack's input and to the condition, side by side."""
    if config.follows_pitch != "input":
        return None
    assert config.condition_channels is not None
    return PitchConv1d(
        config.pitch_channels,
        config.residual_channels + config.condition_channels,
        longest_lag=config.longest_lag,
        spread=INPUT_SPREAD,
        use_bias=False,
        rngs=rngs,
    )


def pitch_stack(config: WaveNetConfig, rngs: nnx.Rngs) -> PitchStack | None:
    """The last cycle of the stack, whose dilations follow the pitch."""
    if config.follows_pitch != "blocks":
        return None
    return PitchStack(
        config.residual_channels,
        config.skip_channels,
        num_blocks=len(config.dilations),
        longest_lag=config.longest_lag,
        kernel_size=config.kernel_size,
        condition_channels=config.condition_channels,
        gate_channels=config.gate_channels,
        dropout=config.dropout,
        use_bias=config.biases,
        rngs=rngs,
    )


def with_taps(entered: Array, local: Any, taps: Array) -> tuple[Array, Array]:
    """The input of the stack and the local condition, each with its part of what `pitch_input` gives."""
    to_input, to_condition = jnp.split(taps, [entered.shape[-1]], axis=-1)
    return entered + to_input, local + to_condition
