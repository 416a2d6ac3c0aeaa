"""The effective receptive field: how much of its field a network uses, as gradient energy per input."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from wavedil.errors import UserError, require_size
from wavedil.receptive_field.arguments import output_axes, pure, require_axis
from wavedil.receptive_field.arithmetic import ReceptiveField, own_input
from wavedil.receptive_field.tracing import trace


@dataclass(frozen=True, eq=False, repr=False)
class EffectiveField:
    """Shares of the gradient energy, input by input of the structural field.

    Attributes:
      energy: The share of offset `-past + i` at index i, oldest input first; the sum is 1.
      receptive_field: The structural field that the offsets lie in.
      num_outputs: Outputs that were averaged over, in every signal.
    """

    energy: Float[np.ndarray, " offset"]
    receptive_field: ReceptiveField
    num_outputs: int

    @property
    def offsets(self) -> np.ndarray:
        """Where the energies lie: samples after input `stride t`, negative for the past."""
        return np.arange(-self.receptive_field.past, self.receptive_field.future + 1)

    def within(self, share: float) -> int:
        """The fewest samples n such that inputs at most n away from the output's own hold `share`.

        Raises:
          UserError: If the share is not above 0 and below 1.
        """
        if not 0 < share < 1:
            raise UserError(f"share is {share}, but it must lie above 0 and below 1; 0.9 for 90 %")
        distances = np.abs(self.offsets)
        # Past and future at the same distance count together.
        by_distance = np.bincount(distances, weights=self.energy)
        # Energies that add up to the share have reached it, whatever their sum is rounded to.
        return int(np.searchsorted(np.cumsum(by_distance), share * (1 - 1e-9)))

    def __str__(self) -> str:
        shares = ", ".join(f"{share:.0%} within {self.within(share)}" for share in (0.5, 0.9, 0.99))
        return (
            f"effective receptive field: {shares} samples; the structural field is "
            f"{self.receptive_field.size} (mean of {self.num_outputs} outputs)"
        )

    def __repr__(self) -> str:
        return f"EffectiveField({self.energy.size} offsets, {self.num_outputs} outputs)"


def effective(
    fn: Callable[[Any], Any],
    x: Any,
    *,
    time_axis: int = 1,
    output_time_axis: int | None = None,
    receptive_field: ReceptiveField | None = None,
    num_outputs: int = 32,
    seed: int = 0,
) -> EffectiveField:
    """Measures how much each input of the receptive field moves the output, by gradients.

    The energy of offset o is the mean over outputs t, and over the signals that x holds, of

        E[o] = sum over channels of (d y[t] / d x[stride t + o])^2

    given as a share of the sum over all offsets. Where an output has several channels, each gradient is that of
    their sum under random signs, the mean of which is the energy above.

    A field that is all used has flat energy; in most networks it falls off long before the structural field
    ends. For a generator, let `fn` map the embedded signal to the log-probability of the next sample: the energy
    then says which past samples the model's predictions hang on.

    It costs one forward pass on x and `num_outputs` backward passes.

    Args:
      fn: A JAX function of one float array that can be differentiated, answering with one array.
      x: Signals, longer than the field; the more and the more typical, the better the mean.
      time_axis: The axis of time in x.
      output_time_axis: The axis of time in the output; `time_axis` by default.
      receptive_field: The structural field; traced by default. A model without a bound takes the offsets to look
        at here: `ReceptiveField(past=8000)`.
      num_outputs: Outputs to average over, spread over those whose field lies inside the signal.
      seed: Of the random signs.

    Raises:
      UserError: If x holds integers or is shorter than the field, if the field has no bound, or if the gradients
        are all zero or not finite.

    Example:
      >>> field = effective(lambda x: 3 * x[:, 1:] + x[:, :-1], jnp.zeros((1, 32, 1)))
      >>> field.energy        # offsets 0 and 1
      array([0.1, 0.9])

    Reference: Luo, Li, Urtasun and Zemel 2016, "Understanding the effective receptive field in deep convolutional
    neural networks", arXiv:1701.04128.
    """
    if isinstance(x, jax.ShapeDtypeStruct):
        raise UserError(
            "x is a ShapeDtypeStruct, but the energy depends on the numbers; give signals that are typical"
        )
    x = jnp.asarray(x)
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        raise UserError(
            f"x holds {x.dtype}, which has no gradient; give the embedded signal, and a function that goes on from it"
        )
    num_outputs = require_size("number of outputs", num_outputs)
    fn = pure(fn)
    leaves = jax.tree.leaves(jax.eval_shape(fn, x))
    if len(leaves) != 1:
        raise UserError(
            f"the function answers with {len(leaves)} arrays; measure one at a time, as with lambda x: fn(x)[0]"
        )
    time_axis = require_axis(time_axis, x.shape, "time_axis", "x")
    output_time_axis = time_axis if output_time_axis is None else output_time_axis
    (output_time_axis,) = output_axes(leaves, output_time_axis)
    if receptive_field is None:
        receptive_field = _traced(fn, x, time_axis, output_time_axis)
    length = leaves[0].shape[output_time_axis]
    outputs = _complete_outputs(receptive_field, x.shape[time_axis], length)
    # Evenly over the complete ones, the first and the last included.
    count = min(num_outputs, outputs.size)
    outputs = outputs[np.linspace(0, outputs.size - 1, count).round().astype(int)]
    energies = _energies(fn, x, outputs, time_axis, output_time_axis, seed)
    energy = _mean_by_offset(energies, outputs, receptive_field)
    total = energy.sum()
    if not np.isfinite(total) or total == 0:
        raise UserError(
            f"the gradients are {'all zero' if total == 0 else 'not finite'}, so no input has a share; give signals "
            "that the function responds to, and check its weights"
        )
    return EffectiveField(energy / total, receptive_field, len(outputs))


def _traced(
    fn: Callable[[Any], Any], x: Array, time_axis: int, output_time_axis: int
) -> ReceptiveField:
    spec = jax.ShapeDtypeStruct(x.shape, x.dtype)
    field = trace(fn, spec, time_axis=time_axis, output_time_axis=output_time_axis)
    return field.receptive_field


def _complete_outputs(field: ReceptiveField, num_inputs: int, num_outputs: int) -> np.ndarray:
    """The outputs whose complete field lies inside the signal.

    Raises:
      UserError: If there is none.
    """
    t = np.arange(num_outputs)
    own = own_input(field.stride, t)
    complete = t[(own >= field.past) & (own + field.future < num_inputs)]
    if not complete.size:
        raise UserError(
            f"no output of a signal of {num_inputs} samples has its receptive field of {field.size} inside it; use "
            f"a longer signal, {2 * field.size} samples, say"
        )
    return complete


def _energies(
    fn: Callable[[Any], Any],
    x: Array,
    outputs: np.ndarray,
    time_axis: int,
    output_time_axis: int,
    seed: int,
) -> Float[np.ndarray, "output time"]:
    """For each output, the squared gradient at every input, summed over all other axes."""
    others = tuple(axis for axis in range(x.ndim) if axis != time_axis)

    @jax.jit
    def energies(x: Array, outputs: Array) -> Array:
        # One forward pass serves the backward passes of all outputs.
        y, gradient = jax.vjp(fn, x)
        at = jax.lax.broadcasted_iota(jnp.int32, y.shape, output_time_axis)

        def energy(job: tuple[Array, Array]) -> Array:
            key, t = job
            # The gradient of sum_c s_c y_c[t] with random signs s. In the mean of its square the products of
            # different channels cancel, so one backward pass estimates sum_c (dy_c / dx)^2.
            signs = jax.random.rademacher(key, y.shape, y.dtype)
            (g,) = gradient(jnp.where(at == t, signs, jnp.zeros_like(signs)))
            return jnp.sum(jnp.square(jnp.abs(g)), axis=others)

        # One after the other: all at once would hold as many signals as outputs.
        return jax.lax.map(energy, (jax.random.split(jax.random.key(seed), outputs.size), outputs))

    return np.asarray(energies(x, jnp.asarray(outputs)), np.float64)


def _mean_by_offset(
    energies: Float[np.ndarray, "output time"], outputs: np.ndarray, field: ReceptiveField
) -> Float[np.ndarray, " offset"]:
    # Every output has its complete field inside the signal, so all rows are of one length.
    own = own_input(field.stride, outputs)
    rows = [
        row[t - field.past : t + field.future + 1] for row, t in zip(energies, own, strict=True)
    ]
    return np.mean(rows, axis=0)
