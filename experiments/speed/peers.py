"""The same WaveNet in PyTorch: an eager training step, and a generator with one queue for each layer.

`check` loads a wavedil model's weights and compares parameters, outputs and the generator's outputs,
so that the two libraries are timed on one and the same function.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from wavedil.models import WaveNetConfig


class GatedLayer(nn.Module):
    def __init__(self, channels: int, kernel_size: int, dilation: int) -> None:
        super().__init__()
        self.past = (kernel_size - 1) * dilation
        self.conv = nn.Conv1d(channels, 2 * channels, kernel_size, dilation=dilation)
        self.residual = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        filtered, gate = self.conv(F.pad(x, (self.past, 0))).chunk(2, dim=1)
        gated = torch.tanh(filtered) * torch.sigmoid(gate)
        return x + self.residual(gated), gated


class WaveNet(nn.Module):
    """Logits [batch, levels, time] from codes [batch, time].

    As it is usually written, every layer has a skip convolution of its own. `joined_skips` joins the gated
    activations and takes one convolution for all, as wavedil does: PyTorch may gain from it as well.
    Only the first skip convolution has a bias, for the sum of many biases is one bias.
    """

    def __init__(self, config: WaveNetConfig, joined_skips: bool = False) -> None:
        super().__init__()
        channels, skip = config.residual_channels, config.skip_channels
        dilations = config.layer_dilations
        self.embedding = nn.Embedding(config.levels, channels)
        self.past = config.input_kernel_size - 1
        self.input = nn.Conv1d(channels, channels, config.input_kernel_size)
        self.layers = nn.ModuleList(GatedLayer(channels, config.kernel_size, d) for d in dilations)
        self.joined_skips = joined_skips
        widths = [len(dilations) * channels] if joined_skips else [channels] * len(dilations)
        self.skips = nn.ModuleList(
            nn.Conv1d(width, skip, 1, bias=i == 0) for i, width in enumerate(widths)
        )
        self.hidden = nn.Conv1d(skip, skip, 1)
        self.output = nn.Conv1d(skip, config.levels, 1)

    def forward(self, codes: Tensor) -> Tensor:
        x = self.embedding(codes).transpose(1, 2)
        x = self.input(F.pad(x, (self.past, 0)))
        if self.joined_skips:
            gated = []
            for layer in self.layers:
                x, z = layer(x)
                gated.append(z)
            total = self.skips[0](torch.cat(gated, dim=1))
        else:
            total = 0
            for layer, skip in zip(self.layers, self.skips, strict=True):
                x, z = layer(x)
                total = total + skip(z)
        return self.output(F.relu(self.hidden(F.relu(total))))

    @property
    def num_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())


def training_step(model: WaveNet, codes: np.ndarray) -> Callable[[], float]:
    """One step of Adam on codes [batch, time + 1], eager; returns the loss in nats."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    sound = torch.from_numpy(codes.astype(np.int64))
    seen, targets = sound[:, :-1].contiguous(), sound[:, 1:].contiguous()

    def step() -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(seen), targets)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


class QueueGenerator:
    """Sample after sample; each layer keeps its last inputs in a ring of its own.

    The convolutions of kernel size 2 become one matmul on (oldest, newest), the skip outputs one matmul
    for all layers: fewer operations a sample than a skip output for each layer.
    """

    @torch.inference_mode()
    def __init__(self, model: WaveNet, batch_size: int = 1) -> None:
        if any(layer.conv.kernel_size != (2,) for layer in [*model.layers]) or model.past != 1:
            raise ValueError("the generator is written for kernel size 2")
        self.embedding = model.embedding.weight
        self.input = _linear(model.input)
        self.layers = [(_linear(layer.conv), _linear(layer.residual)) for layer in model.layers]
        joined = torch.cat([conv.weight[:, :, 0] for conv in model.skips], dim=1)
        self.skip = joined.contiguous(), model.skips[0].bias
        self.hidden, self.output = _linear(model.hidden), _linear(model.output)
        channels = self.embedding.shape[1]
        self.input_past = torch.zeros(batch_size, channels)
        self.queues = [torch.zeros(layer.past, batch_size, channels) for layer in model.layers]
        self.position = 0

    def step(self, codes: Tensor) -> Tensor:
        """Logits [batch, levels] after the samples `codes` [batch]."""
        embedded = F.embedding(codes, self.embedding)
        x = F.linear(torch.cat((self.input_past, embedded), 1), *self.input)
        self.input_past = embedded
        gated = []
        for (conv, residual), queue in zip(self.layers, self.queues, strict=True):
            slot = self.position % len(queue)
            filtered, gate = F.linear(torch.cat((queue[slot], x), 1), *conv).chunk(2, 1)
            queue[slot] = x
            z = torch.tanh(filtered) * torch.sigmoid(gate)
            gated.append(z)
            x = x + F.linear(z, *residual)
        self.position += 1
        total = F.linear(torch.cat(gated, 1), *self.skip)
        return F.linear(F.relu(F.linear(F.relu(total), *self.hidden)), *self.output)

    @torch.inference_mode()
    def draw(self, num_samples: int, silence: int) -> Tensor:
        codes = torch.full((self.input_past.shape[0],), silence)
        drawn = []
        for _ in range(num_samples):
            codes = torch.multinomial(self.step(codes).softmax(-1), 1)[:, 0]
            drawn.append(codes)
        return torch.stack(drawn, 1)


def _linear(conv: nn.Conv1d) -> tuple[Tensor, Tensor]:
    """Weight and bias for inputs whose taps lie side by side, oldest first."""
    weight = conv.weight.permute(0, 2, 1).reshape(conv.out_channels, -1)
    return weight.contiguous(), conv.bias


@torch.inference_mode()
def load(model: WaveNet, weights: Mapping[str, np.ndarray]) -> None:
    """Copies wavedil's weights, named as in `wavedil.models.weights.named_weights`, into the model."""

    def copy(conv: nn.Conv1d, kernel: np.ndarray, bias: np.ndarray | None) -> None:
        conv.weight.copy_(torch.tensor(np.asarray(kernel).transpose(2, 1, 0)))
        if bias is not None:
            conv.bias.copy_(torch.tensor(np.asarray(bias)))

    model.embedding.weight.copy_(torch.tensor(np.asarray(weights["embedding"])))
    for name in ("input", "hidden", "output"):
        copy(getattr(model, name), weights[f"{name}.kernel"], weights[f"{name}.bias"])
    for i, layer in enumerate(model.layers):
        for name in ("conv", "residual"):
            prefix = f"stack.blocks.{i}.{name}"
            copy(getattr(layer, name), weights[f"{prefix}.kernel"], weights[f"{prefix}.bias"])
    kernels = np.split(np.asarray(weights["stack.skip_kernel"]), len(model.skips))
    for i, (skip, kernel) in enumerate(zip(model.skips, kernels, strict=True)):
        copy(skip, kernel[None], weights["stack.skip_bias"] if i == 0 else None)


def check(
    model: WaveNet, weights: Mapping[str, np.ndarray], codes: np.ndarray, expected: np.ndarray
) -> None:
    """Raises unless the model is wavedil's: as many parameters, and with its weights the same outputs.

    Args:
      model: Gets the weights.
      weights: wavedil's.
      codes: [1, time].
      expected: wavedil's outputs for them, [1, time, levels].
    """
    theirs, ours = model.num_parameters, sum(np.size(weight) for weight in weights.values())
    if theirs != ours:
        raise AssertionError(f"the PyTorch model has {theirs} parameters and wavedil's {ours}")
    load(model, weights)
    sound = torch.from_numpy(codes.astype(np.int64))
    generator = QueueGenerator(model)
    with torch.inference_mode():
        whole = model(sound).transpose(1, 2).numpy()
        stepped = torch.stack([generator.step(sample) for sample in sound.T], 1).numpy()
    np.testing.assert_allclose(whole, expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(stepped, expected, rtol=1e-3, atol=1e-3)
