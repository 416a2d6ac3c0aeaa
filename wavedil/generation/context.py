"""The context stack while samples are drawn: one step of it for every `factor` samples.

    sample      0  1  2  3 | 4  5  6  7 | 8 ...
    runs                 *            *              once the frame is complete
    held        0  0  0  a   a  a  a  b   b          until the next one is

Signals side by side may be in the middle of their frames at different times.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from wavedil.generation.rings import Rings, write
from wavedil.models.wavenet import WaveNet


class Context(NamedTuple):
    """The state of the context stack between samples."""

    samples: Rings
    """The newest `factor - 1` samples, as they enter."""
    phase: Int[Array, " batch"]
    """How many of them are of the frame under way."""
    held: Float[Array, "layers batch 2*gate_channels"]
    """The contribution of the last complete frame to the gates of every layer; zero before the first."""
    stack: list[Float[Array, "batch past channels"]]
    """The last frames; few are kept, so that they are moved up and not written in a ring."""


Update = Callable[[Array, Context, Array, Array | None], Context]


def context_from_state(model: WaveNet, state: dict[str, Any]) -> Context:
    """The state of `nn.ContextStack` at position 0 of the loop."""
    return Context(
        samples=jnp.moveaxis(state["samples"], 1, 0),
        phase=jnp.full(state["held"].shape[0], state["phase"]),
        held=state["held"][:, 0] @ _condition_kernels(model),
        stack=state["stack"],
    )


def context_update(model: WaveNet) -> Update:
    """A function that takes the context past one sample more.

    It is given the sample as it enters [batch, in_channels], the context before it, the position in the ring, and,
    where a signal may follow another, the age of each: its samples before this one.
    """
    far, kernels = model.conditioning.context_stack, _condition_kernels(model)
    assert far is not None
    last = far.factor - 1

    def update(x: Array, context: Context, position: Array, age: Array | None = None) -> Context:
        phase, held = context.phase, context.held
        if age is not None:
            phase = jnp.where(age == 0, 0, phase)
            held = jnp.where((age == 0)[:, None], 0.0, held)
        complete = phase == last

        def run(state: tuple[Array, Array, list[Array]]) -> tuple[Array, Array, list[Array]]:
            _, held, stack = state
            if age is not None:
                first = (age == last)[:, None, None]
                stack = [jnp.where(first, 0.0, past) for past in stack]
            before = context.samples[(position + np.arange(last, dtype=np.int32)) % max(last, 1)]
            frame = jnp.concatenate([before, x[None]]).swapaxes(0, 1)
            (_, y), after = far.stack.step(far.enter(frame), stack)
            chosen = [
                jnp.where(complete[:, None, None], new, old)
                for new, old in zip(after, stack, strict=True)
            ]
            return (
                jnp.zeros((), bool),
                jnp.where(complete[:, None], y[:, 0] @ kernels, held),
                chosen,
            )

        # Once or not at all. A loop leaves the state where it lies; `cond` would copy it at every sample.
        _, held, stack = lax.while_loop(
            lambda state: state[0], run, (complete.any(), held, context.stack)
        )
        samples = write(context.samples, x, position)
        return Context(samples, jnp.where(complete, 0, phase + 1), held, stack)

    return update


def _condition_kernels(model: WaveNet) -> Float[Array, "layers condition_channels 2*gate_channels"]:
    """How every layer of the near stack takes its condition in."""
    conditions = [block.condition for block in model.stack.blocks]
    return jnp.stack([conv.kernel[0] for conv in conditions if conv is not None])
