"""How codes, and the signals that come with them, enter a WaveNet; what does not fit is refused here."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from wavedil.errors import UserError
from wavedil.models.linear_prediction import State, guess_of, state_before
from wavedil.nn import door
from wavedil.nn.door import (
    require_beside,
    require_parts,
    require_signal,
    require_state,
    weights_dtype,
)
from wavedil.nn.dropout import require_key
from wavedil.nn.mask import masked, require_mask
from wavedil.ops.devices import split_alike


def entered_by(
    model: Any,
    codes: Any,
    local: Any,
    dilation: Any,
    voicing: Any,
    predictor: Any,
    *,
    mask: Any = None,
    dropout_key: Any = None,
    valid: bool = False,
    with_context: bool = False,
    before: State | None = None,
) -> tuple[Array, Array | None, Array | None, Array | None, Array | None, State | None]:
    """Codes as they enter, and what comes with them; refuses what does not fit, as the door of every layer.

    Of what predicts the next sample it makes that prediction, given the state of it, and the state after.
    """
    shape, kind = tuple(jnp.shape(codes)), jnp.result_type(codes)
    if len(shape) != 2 or not jnp.issubdtype(kind, jnp.integer):
        raise UserError(
            f"codes have shape {list(shape)} of {kind}, but WaveNet takes integers [batch, time]; "
            "model.config.quantizer.encode makes them of sound"
        )
    require_mask("WaveNet", mask, codes, valid)
    require_key(dropout_key)
    config = model.config.local_conditioning
    if local is not None and config is not None:
        require_signal("WaveNet", "local", local, "channels", config.channels)
        require_beside("WaveNet", local, codes)
        local = jnp.asarray(local, weights_dtype(model, local))
    x = masked(model.enter(codes).astype(weights_dtype(model, local)), mask)
    if with_context:
        x = door.with_context(model, x)
    follows = model.config.follows_pitch != "none"
    if (dilation is not None) != follows:
        raise UserError(
            "the model follows the pitch, but was given no dilation; give local, dilation and voicing as "
            "model.conditioning.of_features(features, num_samples) makes them"
            if follows
            else "the model does not follow the pitch, but was given a dilation; leave it out"
        )
    if follows:
        model.conditioning.require_features(local is not None)
        dilation, voicing = door.enter_pitch(model, codes, x, dilation, voicing, mask)
    pitch = dilation, voicing
    guess, after = _guess(model, codes, x, predictor, pitch, mask, before)
    return x, local, dilation, voicing, guess, after


def _guess(
    model: Any, codes: Any, x: Array, predictor: Any, pitch: Any, mask: Any, before: State | None
) -> tuple[Array | None, State | None]:
    """The linear prediction of the sample after each, and the state after; None for a model without."""
    order = model.config.prediction_order
    if (predictor is not None) != (order > 0):
        raise UserError(
            "the model sees a linear prediction, but was given no predictor; give what "
            "model.conditioning.of_features(features, num_samples) makes"
            if order
            else "the model sees no linear prediction, but was given a predictor; leave it out"
        )
    if not order:
        return None, None
    require_signal("WaveNet", "predictor", predictor, "order", order)
    require_beside("WaveNet", predictor, codes, "predictor")
    if not codes.shape[1]:
        return split_alike(jnp.zeros(x.shape[:2], jnp.float32), x), before
    precise = np.promote_types(jnp.result_type(predictor), np.float32)
    predictor = masked(split_alike(jnp.asarray(predictor, precise), x), mask)
    amplitudes = masked(model.amplitudes(codes, precise), mask)
    begins = state_before(len(codes), order, model.config.predicted_lag, precise)
    before = begins if before is None else before
    require_parts(model, before, tuple(begins))
    for name, part in begins.items():
        require_state(model, before[name], part.shape)
    before = split_alike({name: part.astype(precise) for name, part in before.items()}, x)
    return lax.stop_gradient(guess_of(amplitudes, predictor, pitch[0], pitch[1], before))
