"""The plan of a WaveNet."""

import dataclasses
from typing import Any

import numpy as np

from wavedil.engine.plan import (
    Follow,
    Look,
    Part,
    Plan,
    Pointwise,
    Predict,
    Product,
    as_float32,
    convolution,
)
from wavedil.models.wavenet import WaveNet
from wavedil.nn.pitch_stack import PitchBlock

Inputs = list[tuple[int, int, np.ndarray]]
CONDITION, FRAME, SAMPLE = range(3)
"""Sections: when the condition has changed, when a frame of the context stack is complete, at every sample."""


@dataclasses.dataclass(frozen=True)
class WaveNetPlan:
    """A plan, and the buffers in which it meets the world; -1 for those that it has not."""

    plan: Plan
    x: int
    """A sample as it enters."""
    parameters: int
    """What the network gives."""
    condition: int
    """Labels and features."""
    frame: int
    """The samples of a frame of the context stack."""
    factor: int
    """How many."""
    pitch: int
    """Dilation and voicing of a sample."""
    amplitudes: int
    """A sample as sound."""
    predictor: int
    """The coefficients of the linear prediction of the sample after it."""


def wavenet_plan(model: WaveNet) -> WaveNetPlan:
    """The plan of a model.

    Raises:
      UnservedError: If the engine cannot run it.
    """
    plan = Plan(3)
    stack, far = model.stack, model.conditioning.context_stack
    blocks = [*stack.blocks, *(() if model.pitch_stack is None else model.pitch_stack.blocks)]
    skip_kernel = as_float32(stack.skip_kernel[...])
    skip_bias = as_float32(stack.skip_bias_or_zeros())
    if model.pitch_stack is not None:
        skip_kernel = np.concatenate([skip_kernel, as_float32(model.pitch_stack.skip_kernel[...])])
        skip_bias = skip_bias + as_float32(model.pitch_stack.skip_bias_or_zeros())
    condition, frame, joint, known = -1, -1, None, -1
    if model.config.condition_channels is not None:
        plan.section = CONDITION
        condition = known = plan.buffer(model.config.condition_channels)
        if far is not None:
            held, known = (plan.buffer(model.config.condition_channels) for _ in range(2))
            plan.add(Pointwise("add", Part(known), Part(condition), Part(held)))
            plan.section = FRAME
            frame = plan.buffer(far.factor * far.in_channels)
            inputs, bias = convolution(far.frames, frame)
            of_far = list(far.stack.blocks)
            first = _first(plan, of_far)
            plan.add(Product(first, inputs, bias))
            joined = far.stack.skip_kernel[...], far.stack.skip_bias_or_zeros()
            _stack(plan, of_far, first, held, joined)
            plan.section = CONDITION
        if model.pitch_entry is None:
            joint = _known(plan, blocks, known)
    plan.section = SAMPLE
    pitch = -1 if model.config.follows_pitch == "none" else plan.buffer(2)
    x = plan.buffer(model.config.input_channels, past=model.input.receptive_field.past)
    inputs, bias = convolution(model.input, x)
    if model.pitch_entry is not None:
        to_input, to_condition = _taps(plan, model, x, pitch)
        inputs += to_input
        given = plan.buffer(plan.buffers[known].size)
        plan.add(Product(given, to_condition, np.zeros(plan.buffers[known].size), plus=known))
        joint = _known(plan, blocks, given)
    first = _first(plan, blocks)
    amplitudes, predictor, guess, of_output = -1, -1, None, None
    if model.prediction is not None:
        order = model.config.prediction_order
        amplitudes, predictor = plan.buffer(1, past=order - 1), plan.buffer(order)
        predicted = _predicted(plan, model, amplitudes, predictor, pitch)
        guess, of_output = (
            _looked_up(plan, table, predicted)
            for table in (model.prediction.input_table, model.prediction.output_table)
        )
    plan.add(Product(first, inputs, bias, plus=guess))
    y = plan.buffer(skip_kernel.shape[1])
    _stack(plan, blocks, first, y, (skip_kernel, skip_bias), joint, pitch)
    plan.activate("relu", Part(y), Part(y))
    for layer in (model.hidden, model.bottleneck, model.output):
        if layer is None:
            continue
        inputs, bias = convolution(layer, y)
        y = plan.buffer(len(bias))
        plan.add(Product(y, inputs, bias, plus=of_output if layer is model.output else None))
        if layer is model.hidden:
            plan.activate("relu", Part(y), Part(y))
    factor = 0 if far is None else far.factor
    return WaveNetPlan(plan, x, y, condition, frame, factor, pitch, amplitudes, predictor)


def _predicted(plan: Plan, model: WaveNet, amplitudes: int, predictor: int, pitch: int) -> int:
    """The linear prediction of the next sample."""
    out, longest = plan.buffer(1), model.config.predicted_lag
    if longest is None:
        plan.add(Predict(out, amplitudes, predictor))
        return out
    short, residual = plan.buffer(1, past=1), plan.buffer(1, past=longest + 1)
    plan.add(Predict(out, amplitudes, predictor, pitch, short, residual))
    return out


def _looked_up(plan: Plan, table: Any, x: int) -> int:
    """What a table says of a number."""
    rows = as_float32(table[...])
    out = plan.buffer(rows.shape[1])
    plan.add(Look(out, x, rows))
    return out


def _taps(plan: Plan, model: Any, x: int, pitch: int) -> tuple[Inputs, Inputs]:
    """What is added to the stack's input, and to the condition, of the sound one pitch period ago."""
    conv, entry = model.pitch_input, as_float32(model.pitch_entry.kernel[0])
    seen = plan.buffer(entry.shape[1], past=conv.receptive_field.past)
    plan.add(Product(seen, [(x, 0, entry)], np.zeros(entry.shape[1], np.float32)))
    inputs = _following(plan, conv, 1, seen, pitch)
    width = model.config.residual_channels
    to_input = [(buffer, delay, kernel[:, :width]) for buffer, delay, kernel in inputs]
    to_condition = [(buffer, delay, kernel[:, width:]) for buffer, delay, kernel in inputs]
    return to_input, to_condition


def _following(plan: Plan, conv: Any, part: int, x: int, pitch: int) -> Inputs:
    """The inputs of a product that is a convolution whose dilation follows the pitch."""
    taps, window, channels, outputs = conv.kernel.shape
    gathered = plan.buffer(taps * window * channels)
    plan.add(Follow(gathered, x, pitch, taps, window // 2, part))
    kernel = as_float32(conv.kernel[::-1]).reshape(-1, outputs)
    return [(gathered, 0, kernel), (x, 0, as_float32(conv.newest[...]))]


def _bias(conv: Any) -> np.ndarray:
    outputs = conv.kernel.shape[-1]
    return np.zeros(outputs, np.float32) if conv.bias is None else as_float32(conv.bias[...])


def _known(plan: Plan, blocks: list[Any], condition: int) -> int:
    """The contribution of the condition to every layer, with their biases, in one product."""
    kernels = [as_float32(block.condition.kernel[0]) for block in blocks]
    biases = [_bias(block.conv) for block in blocks]
    joint = plan.buffer(kernels[0].shape[1] // 2, parts=2 * len(blocks))
    kernel = np.concatenate(kernels, axis=1)
    plan.add(Product(joint, [(condition, 0, kernel)], np.concatenate(biases)))
    return joint


def _first(plan: Plan, blocks: list[Any]) -> int:
    return plan.buffer(blocks[0].conv.in_channels, past=blocks[0].receptive_field.past)


def _stack(
    plan: Plan,
    blocks: list[Any],
    x: int,
    skip: int,
    joined: tuple[Any, Any],
    joint: int | None = None,
    pitch: int = -1,
) -> None:
    """Gated blocks from the buffer of their first input to their skip sum, of which kernel and bias are given."""
    gated = []
    width, channels = blocks[0].residual.in_channels, blocks[0].conv.in_channels
    z = plan.buffer(width, parts=2)
    for number, block in enumerate(blocks):
        if isinstance(block, PitchBlock):
            inputs, bias = _following(plan, block.conv, block.part, x, pitch), _bias(block.conv)
            activations = "tanh", "sigmoid"
        else:
            inputs, bias = convolution(block.conv, x)
            activations = block.activation, block.gate
        plan.add(Product(z, inputs, bias if joint is None else Part(joint, 2 * number)))
        gated.append(plan.buffer(width))
        plan.gate(z, gated[-1], *activations)
        if number + 1 < len(blocks):
            inputs, bias = convolution(block.residual, gated[-1])
            following = plan.buffer(channels, past=blocks[number + 1].receptive_field.past)
            plan.add(Product(following, inputs, bias, plus=x))
            x = following
    kernels = as_float32(joined[0]).reshape(len(blocks), width, -1)
    sums = [(buffer, 0, kernel) for buffer, kernel in zip(gated, kernels, strict=True)]
    plan.add(Product(skip, sums, as_float32(joined[1])))
