"""The plan of an amp model."""

import dataclasses
from typing import Any

import numpy as np

from wavedil.engine.plan import Part, Plan, Pointwise, Product, convolution
from wavedil.models.amp import AmpModel
from wavedil.models.amp_array_config import AmpActivationConfig
from wavedil.nn import Conv1d


@dataclasses.dataclass(frozen=True)
class AmpPlan:
    """A plan, its ends, and the buffer that every convolution sees, in the order of the model's state."""

    plan: Plan
    x: int
    y: int
    remembered: list[int]


def amp_plan(model: AmpModel) -> AmpPlan:
    """The plan of a model without knobs (`AmpModel.at`)."""
    made = _Amp(Plan())
    x = made.plan.buffer(model.in_channels)
    y = made.network(model, x)
    return AmpPlan(made.plan, x, y, made.remembered)


class _Amp:
    """A plan under way."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.remembered: list[int] = []
        self._channels = 0

    def network(self, model: AmpModel, x: int) -> int:
        """The output of a network whose input is the buffer x."""
        condition = x if model.condition is None else self.network(model.condition, x)
        y, before, last = x, None, len(model.arrays) - 1
        for number, array in enumerate(model.arrays):
            # The head's output is scaled by its weights; what follows the arrays bends it.
            scale = model.config.head_scale if number == last else 1.0
            y, before = self.array(array, y, condition, before, scale)
        assert before is not None
        for conv in model.head:
            seen = self.plan.buffer(conv.in_channels, past=conv.receptive_field.past)
            self.activate(model.config.head.activation, Part(before), Part(seen))  # type: ignore[union-attr]
            before = self.convolve(conv, seen)
        return before

    def array(
        self, array: Any, x: int, condition: int, before: int | None, scale: float
    ) -> tuple[int, int]:
        """The residual signal and the head after an array."""
        plan, layers = self.plan, list(array.layers)
        inputs, bias = convolution(array.rechannel, x)
        y = self.residual(layers[0])
        plan.add(Product(y, inputs, bias))
        heads = plan.buffer(array.head.in_channels, past=array.head.receptive_field.past)
        summed = Part(heads)
        first = None if before is None else Part(before)
        for number, layer in enumerate(layers):
            following = layers[number + 1] if number + 1 < len(layers) else None
            y, a = self.layer(layer, y, condition, following)
            if first is None:
                plan.activate("identity", a, summed)
            else:
                plan.add(Pointwise("add", summed, first, a))
            first = summed
        return y, self.convolve(array.head, heads, scale)

    def residual(self, layer: Any) -> int:
        """A buffer for the residual signal before a layer, which its convolution sees unless a FiLM comes first."""
        if layer is None:
            return self.plan.buffer(self._channels)
        self._channels = layer.conv.in_channels
        past = layer.conv.receptive_field.past if layer.conv_pre_film is None else 0
        return self.plan.buffer(layer.conv.in_channels, past=past)

    def layer(self, layer: Any, y: int, condition: int, following: Any) -> tuple[int, Part]:
        """The residual signal after a layer, and what it adds to the head."""
        plan, seen = self.plan, y
        if layer.conv_pre_film is not None:
            seen = plan.buffer(layer.conv.in_channels, past=layer.conv.receptive_field.past)
            self.film(layer.conv_pre_film, Part(y), Part(seen), condition)
        self.remembered.append(seen)
        z = self.sum_of(layer, seen, condition)
        self.modulate(layer.activation_pre_film, z, condition)
        a = Part(z, 0)
        self.gate(layer, z)
        self.modulate(layer.activation_post_film, z, condition, 1)
        if layer.layer1x1 is not None:
            inputs, bias = convolution(layer.layer1x1, z)
            after = self.residual(following)
            if layer.layer1x1_post_film is not None and layer.gating == "blended":
                more = plan.buffer(len(bias))
                plan.add(Product(more, inputs, bias))
                self.modulate(layer.layer1x1_post_film, more, condition)
                plan.add(Pointwise("add", Part(after), Part(y), Part(more)))
            else:
                plan.add(Product(after, inputs, bias, plus=y))
        else:
            after = self.residual(following)
            plan.activate("identity", Part(y), Part(after))
        if layer.head1x1 is not None:
            inputs, bias = convolution(layer.head1x1, z)
            a = Part(plan.buffer(len(bias)))
            plan.add(Product(a.buffer, inputs, bias))
            self.modulate(layer.head1x1_post_film, a.buffer, condition)
        return after, a

    def sum_of(self, layer: Any, seen: int, condition: int) -> int:
        """The convolution and the condition, in one product where no FiLM comes between them."""
        plan = self.plan
        parts = 1 if layer.gating == "none" else 2
        z = plan.buffer(layer.width, parts=parts)
        inputs, bias = convolution(layer.conv, seen)
        films = (layer.conv_post_film, layer.input_mixin_pre_film, layer.input_mixin_post_film)
        if all(film is None for film in films):
            mixed, _ = convolution(layer.mixin, condition)
            plan.add(Product(z, inputs + mixed, bias))
            return z
        plan.add(Product(z, inputs, bias))
        self.modulate(layer.conv_post_film, z, condition)
        entered = condition
        if layer.input_mixin_pre_film is not None:
            entered = plan.buffer(plan.buffers[condition].size)
            self.film(layer.input_mixin_pre_film, Part(condition), Part(entered), condition)
        mixed, none = convolution(layer.mixin, entered)
        added = plan.buffer(layer.width, parts=parts)
        plan.add(Product(added, mixed, none))
        self.modulate(layer.input_mixin_post_film, added, condition)
        for number in range(parts):
            part = Part(z, number)
            plan.add(Pointwise("add", part, part, Part(added, number)))
        return z

    def gate(self, layer: Any, z: int) -> None:
        """The activation in the first part of z."""
        straight, share = Part(z, 0), Part(z, 1)
        if layer.gating == "none":
            self.activate(layer.activation, straight, straight)
            return
        self.activate(layer.secondary_activation, share, share)
        if layer.gating == "gated":
            self.activate(layer.activation, straight, straight)
            self.plan.add(Pointwise("multiply", straight, straight, share))
        else:
            bent = Part(self.plan.buffer(layer.width))
            self.activate(layer.activation, straight, bent)
            self.plan.add(Pointwise("blend", straight, bent, share, straight))

    def activate(self, config: AmpActivationConfig, a: Part, out: Part) -> None:
        """An activation with its numbers."""
        match config.function:
            case "leaky_relu":
                self.plan.bend(a, out, (config.slopes[0], 1.0, 0.0, np.inf))
            case "prelu":
                self.plan.bend(a, out, (config.slopes, 1.0, 0.0, np.inf))
            case "leaky_hardtanh":
                self.plan.bend(a, out, (*config.slopes, *config.limits))
            case name:
                self.plan.activate(name, a, out)

    def modulate(
        self, film: Conv1d | None, x: int, condition: int, parts: int | None = None
    ) -> None:
        """A FiLM of the first parts of a buffer, or all of them, in their place."""
        if film is not None:
            buffer = self.plan.buffers[x]
            parts = buffer.parts if parts is None else parts
            made = self.modulation(film, condition, buffer.size)
            for number in range(parts):
                part = Part(x, number)
                self._modulate(made, part, part, number, parts)

    def film(self, film: Conv1d, x: Part, out: Part, condition: int) -> None:
        """A FiLM from one buffer to another, of one part."""
        made = self.modulation(film, condition, self.plan.buffers[x.buffer].size)
        self._modulate(made, x, out, 0, 1)

    def modulation(self, film: Conv1d, condition: int, size: int) -> int:
        """The scales of every part, and perhaps its offsets after them."""
        inputs, bias = convolution(film, condition)
        made = self.plan.buffer(size, parts=len(bias) // size)
        self.plan.add(Product(made, inputs, bias))
        return made

    def _modulate(self, made: int, x: Part, out: Part, number: int, parts: int) -> None:
        self.plan.add(Pointwise("multiply", out, x, Part(made, number)))
        if self.plan.buffers[made].parts > parts:
            self.plan.add(Pointwise("add", out, out, Part(made, parts + number)))

    def convolve(self, conv: Conv1d, seen: int, scale: float = 1.0) -> int:
        """The output of a convolution of a buffer that remembers what it sees."""
        self.remembered.append(seen)
        inputs, bias = convolution(conv, seen)
        out = self.plan.buffer(len(bias))
        scaled = [(x, delay, kernel * np.float32(scale)) for x, delay, kernel in inputs]
        self.plan.add(Product(out, scaled, bias * np.float32(scale)))
        return out
