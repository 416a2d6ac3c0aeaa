"""The contract of a layer, and the state that every causal layer keeps."""

import math
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from wavedil.errors import Size, UserError, require_whole
from wavedil.nn.door import require_state, weights_dtype
from wavedil.ops.devices import split_alike
from wavedil.receptive_field import ReceptiveField


class Layer(Protocol):
    """A stream transformer: the same numbers on a whole signal and block by block.

    `step` on consecutive blocks of any lengths, with the state handed on, gives the blocks of `layer(x)`;
    before the first sample the signal is zero in both.

    The signals of a batch may differ in length. Where the mask, bool [batch, time], is False there is none: every
    layer inside sees zeros there, as beyond the ends of a signal, so that a signal has the outputs that it has by
    itself; the outputs there are zero, and nothing there has a gradient. Output t stands at input
    `floor(receptive_field.stride t)`.

        x       0 1 2 3 4        y       0 1 2 3 4
        mask    T T T F F                a b c 0 0       a b c of the signal 0 1 2 alone

    Dropout acts where a `dropout_key` is given and nowhere else. A layer without dropout takes a key and ignores it.
    """

    @property
    def receptive_field(self) -> ReceptiveField:
        """The inputs that an output sees."""

    def __call__(self, x: Any, *, mask: Any = None, dropout_key: Any = None) -> Any:
        """x [batch, time, in_channels] -> [batch, time, out_channels]."""

    def valid(self, x: Any, *, mask: Any = None, dropout_key: Any = None) -> Any:
        """`layer(x)` without the outputs of the first `past` samples, which are context, and without computing more
        of the layers inside than is read. The mask may end early; what follows is signal.

            x          c c c c | 0 1 2          past 4
            mask       F F T T | T T T          begins with the third sample
            outputs              0 1 2

        A layer that upsamples gives all outputs that see no padding.
        """

    def init_state(self, batch_size: int, dtype: DTypeLike = jnp.float32) -> Any:
        """The state before the first sample of a signal of that type: a pytree of arrays, oldest sample first."""

    def step(self, x: Any, state: Any) -> tuple[Any, Any]:
        """The outputs of the next block, and the state after it."""


def initial_state(
    layer: Any, batch_size: Size, past: int, num_channels: int, dtype: DTypeLike
) -> Float[Array, "batch past *frequency channels"]:
    """The samples before the first one, zeros, in the type that the layer's weights make of a signal of that type."""
    batch_size = require_whole("batch_size", batch_size, least=0)
    frequencies = getattr(layer, "num_frequencies", None)
    of_a_sample = (num_channels,) if frequencies is None else (frequencies, num_channels)
    return jnp.zeros((batch_size, past, *of_a_sample), weights_dtype(layer, dtype))


def extend(
    layer: Any,
    x: Float[Array, "batch time *frequency channels"],
    past: Float[Array, "batch past *frequency channels"],
    num_samples: int | None = None,
) -> tuple[
    Float[Array, "batch past_and_time *frequency channels"],
    Float[Array, "batch past *frequency channels"],
]:
    """The block with its past samples in front, and the past samples of the next block.

    Args:
      layer: Whose state this is, or a part of it.
      x: The block.
      past: The past samples.
      num_samples: How many it keeps of them; None: as many as an output of the layer sees.

    Raises:
      UserError: If the past has another shape than the state of the layer.
    """
    length = layer.receptive_field.past if num_samples is None else num_samples
    require_state(layer, past, (x.shape[0], length, *x.shape[2:]))
    # past         a b c
    # x                  d e
    # extended     a b c d e
    # next past        c d e       of the same length, however short the block
    extended = jnp.concatenate([split_alike(past.astype(x.dtype), x), x], axis=1)
    # In its own type, so that it can be carried through a loop.
    return extended, extended[:, x.shape[1] :].astype(past.dtype)


def require_causal(field: ReceptiveField, what: str) -> None:
    """Raises for a layer that sees the future, with the delay that would make it causal."""
    if field.future > 0:
        delay = math.ceil(field.future / field.stride)
        raise UserError(
            f"{what} sees {field.future} samples of the future, so it has no step; delay its output by "
            f"{delay} samples, as nn.Delayed does, or use causal layers"
        )


def normal(rngs: nnx.Rngs, shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Initial weights from the standard normal distribution.

    Raises:
      UserError: If rngs is a key or a seed.
    """
    if not hasattr(rngs, "params"):
        raise UserError(
            f"rngs is {rngs!r}, but it must be a source of random numbers; use nnx.Rngs(0), or nnx.Rngs(key)"
        )
    return jax.random.normal(rngs.params(), shape, jnp.float32)
