"""What the settings of models share that are a stack of dilated layers, conditioned on labels."""

from collections.abc import Mapping
from typing import Any

from wavedil.labels import LabelValues, Vocabulary
from wavedil.quantizer import Quantizer


class LabelledStackConfig:
    """Settings that follow from others, for models of recordings as they are, without levels of their own."""

    dilations: tuple[int, ...]
    cycles: int
    labels: Mapping[str, tuple[str, ...]]
    label_channels: int

    @property
    def quantizer(self) -> Quantizer:
        """The levels of a sample, where recordings are held as codes: those of 16-bit files."""
        return Quantizer(65536, "linear")

    @property
    def layer_dilations(self) -> tuple[int, ...]:
        """The dilation of every layer."""
        return self.dilations * self.cycles

    @property
    def condition_channels(self) -> int | None:
        """Channels of the labels' embeddings; None for a model without labels."""
        return self.label_channels * len(self.labels) or None

    def label_indices(self, labels: LabelValues | None, num_signals: int = 1) -> dict[str, Any]:
        """The rows of labels in the model's tables, as `Vocabulary.rows` gives them."""
        return Vocabulary(self.labels).rows(labels, num_signals)
