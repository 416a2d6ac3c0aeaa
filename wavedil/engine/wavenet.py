"""The plan of a WaveNet."""

import dataclasses
from typing import Any

import numpy as np

from wavedil.engine.plan import (
    Part,
    Plan,
    Pointwise,
    Product,
    UnservedError,
    as_float32,
    convolution,
)
from wavedil.models.wavenet import WaveNet

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


def wavenet_plan(model: WaveNet) -> WaveNetPlan:
    """The plan of a model.

    Raises:
      UnservedError: If the engine cannot run it.
    """
    if model.config.follows_pitch != "none":
        raise UnservedError(
            "the compiled engine has no taps that follow the pitch, which this model has; use engine='scan'"
        )
    plan = Plan(3)
    stack, far = model.stack, model.conditioning.context_stack
    condition, frame, joint = -1, -1, None
    if model.config.condition_channels is not None:
        plan.section = CONDITION
        condition = known = plan.buffer(model.config.condition_channels)
        if far is not None:
            held, known = (plan.buffer(model.config.condition_channels) for _ in range(2))
            plan.add(Pointwise("add", Part(known), Part(condition), Part(held)))
            plan.section = FRAME
            frame = plan.buffer(far.factor * far.in_channels)
            inputs, bias = convolution(far.frames, frame)
            first = _first(plan, far.stack)
            plan.add(Product(first, inputs, bias))
            _stack(plan, far.stack, first, held)
            plan.section = CONDITION
        joint = _known(plan, stack, known)
    plan.section = SAMPLE
    x = plan.buffer(model.config.input_channels, past=model.input.receptive_field.past)
    inputs, bias = convolution(model.input, x)
    first = _first(plan, stack)
    plan.add(Product(first, inputs, bias))
    y = plan.buffer(stack.skip_kernel.shape[1])
    _stack(plan, stack, first, y, joint)
    plan.activate("relu", Part(y), Part(y))
    for layer in (model.hidden, model.bottleneck, model.output):
        if layer is None:
            continue
        inputs, bias = convolution(layer, y)
        y = plan.buffer(len(bias))
        plan.add(Product(y, inputs, bias))
        if layer is model.hidden:
            plan.activate("relu", Part(y), Part(y))
    return WaveNetPlan(plan, x, y, condition, frame, 0 if far is None else far.factor)


def _known(plan: Plan, stack: Any, condition: int) -> int:
    """The contribution of the condition to every layer, with their biases, in one product."""
    blocks = list(stack.blocks)
    kernels = [as_float32(block.condition.kernel[0]) for block in blocks]
    biases = [convolution(block.conv, 0)[1] for block in blocks]
    joint = plan.buffer(kernels[0].shape[1] // 2, parts=2 * len(blocks))
    kernel = np.concatenate(kernels, axis=1)
    plan.add(Product(joint, [(condition, 0, kernel)], np.concatenate(biases)))
    return joint


def _first(plan: Plan, stack: Any) -> int:
    return plan.buffer(stack.in_channels, past=stack.blocks[0].receptive_field.past)


def _stack(plan: Plan, stack: Any, x: int, skip: int, joint: int | None = None) -> None:
    """A stack of gated blocks from the buffer of its first input to its skip sum."""
    blocks, gated = list(stack.blocks), []
    width = blocks[0].residual.in_channels
    z = plan.buffer(width, parts=2)
    for number, block in enumerate(blocks):
        inputs, bias = convolution(block.conv, x)
        plan.add(Product(z, inputs, bias if joint is None else Part(joint, 2 * number)))
        gated.append(plan.buffer(width))
        plan.gate(z, gated[-1], block.activation, block.gate)
        if number + 1 < len(blocks):
            inputs, bias = convolution(block.residual, gated[-1])
            following = plan.buffer(stack.in_channels, past=blocks[number + 1].receptive_field.past)
            plan.add(Product(following, inputs, bias, plus=x))
            x = following
    kernels = as_float32(stack.skip_kernel[...]).reshape(len(blocks), width, -1)
    joined = [(buffer, 0, kernel) for buffer, kernel in zip(gated, kernels, strict=True)]
    plan.add(Product(skip, joined, as_float32(stack.skip_bias_or_zeros())))
