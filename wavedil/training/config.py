"""How a model is trained."""

import dataclasses
import math
from typing import Literal, Self

from wavedil.config import Config, decided
from wavedil.errors import UserError, require_positive

# JAX makes its keys of seeds below.
_SEEDS = 1 << 63


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingConfig(Config):
    """Optimisation, and how often the run evaluates, saves and reports."""

    steps: int = 10000
    """Parameter updates."""
    batch_size: int | None = None
    """Windows in a batch; by default as many as predict about 8192 samples."""
    window_size: int | None = None
    """Most samples that a window predicts; their context comes on top. By default 8192, or more if the model sees
    far."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """How gradients become updates; muon takes fewer steps to the same loss, and a little longer over each."""
    learning_rate: float = 4e-3
    """Highest learning rate, after the warm-up."""
    warmup_steps: int = 200
    """Steps over which the learning rate rises, from above zero; it then falls along a cosine to a hundredth."""
    weight_decay: float = 0.01
    """AdamW's decay of the kernels."""
    clip_norm: float = 1.0
    """Largest global norm of a gradient."""
    ema_decay: float = 0.999
    """Decay of the average of the parameters that evaluation and generation use."""
    seed: int = 0
    """Seed of the initial weights and of the order of the windows."""
    devices: int = 1
    """Devices that share the windows of every batch; they divide its size."""
    accumulate: int = 1
    """Parts in which a device computes its share of a batch, one after the other, to save memory: the update is that of
    the whole batch."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of what is computed in a step; the weights that are trained, their sums and the losses stay float32."""
    remat: bool = False
    """Compute the activations of a WaveNet's layers again in the backward pass instead of keeping them: for windows too
    long for the memory, at a forward pass more in each step."""
    log_every: int = 50
    """Steps between reports."""
    evaluate_every: int = 1000
    """Steps between evaluations on held-out recordings."""
    evaluate_seconds: float = 20.0
    """Held-out sound that these evaluations score (s); `wavedil evaluate` scores all of it."""
    save_every: int = 500
    """Steps between checkpoints."""
    sample_every: int = 0
    """Steps between the same few sounds, drawn with the same seed into samples/ of the run folder, by which one hears
    it learn; 0 draws none."""
    tensorboard: bool = False
    """Whether the metrics and these sounds also go to TensorBoard files in the run folder."""
    earlier: tuple[tuple[int, int], ...] = decided(by="training further", default=())
    """Of a run that was trained further: how many steps it was to take, and the step from which it takes more."""

    def __post_init__(self) -> None:
        super().__post_init__()
        sizes = ("steps", "batch_size", "window_size", "devices", "accumulate")
        often = ("log_every", "evaluate_every", "save_every")
        require_positive(**{name: getattr(self, name) for name in (*sizes, *often)})
        if not (0 < self.learning_rate < math.inf and self.clip_norm > 0):
            raise UserError(
                f"learning_rate is {self.learning_rate} and clip_norm {self.clip_norm}; both must be above 0, and "
                "learning_rate finite"
            )
        if not 0 <= self.ema_decay < 1:
            raise UserError(f"ema_decay is {self.ema_decay}, but it must be at least 0 and below 1")
        for name in ("warmup_steps", "weight_decay", "evaluate_seconds", "seed", "sample_every"):
            if not getattr(self, name) >= 0:
                raise UserError(f"{name} is {getattr(self, name)}, but it must be at least 0")
        if self.seed >= _SEEDS:
            raise UserError(f"seed is {self.seed}, but it must be below {_SEEDS}; 0, say")

    def continuing(self, before: Self, step: int) -> Self:
        """These settings for a run that took the steps up to `step` by others, which knows then that it did."""
        more = () if self.steps == before.steps else ((before.steps, step),)
        return dataclasses.replace(self, earlier=before.earlier + more)
