"""How codes, and the signals that come with them, enter a WaveNet; what does not fit is refused here."""

from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from wavedil.errors import UserError
from wavedil.models.linear_prediction import guess_of
from wavedil.nn import door
from wavedil.nn.door import require_beside, require_signal, weights_dtype
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
    before: Array | None = None,
) -> tuple[Array, Array | None, Array | None, Array | None, Array | None]:
    """Codes as they enter, and what comes with them; refuses what does not fit, as the door of every layer.

    Of what predicts the next sample it makes that prediction, from the codes and the amplitudes before them.
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
    return x, local, dilation, voicing, _guess(model, codes, x, predictor, mask, before)


def _guess(
    model: Any, codes: Any, x: Array, predictor: Any, mask: Any, before: Array | None
) -> Array | None:
    """The linear prediction of the sample after each; None for a model without."""
    order = model.config.prediction_order
    if (predictor is not None) != (order > 0):
        raise UserError(
            "the model sees a linear prediction, but was given no predictor; give what "
            "model.conditioning.of_features(features, num_samples) makes"
            if order
            else "the model sees no linear prediction, but was given a predictor; leave it out"
        )
    if not order:
        return None
    require_signal("WaveNet", "predictor", predictor, "order", order)
    require_beside("WaveNet", predictor, codes, "predictor")
    if not codes.shape[1]:
        return split_alike(jnp.zeros(x.shape[:2], jnp.float32), x)
    predictor = split_alike(jnp.asarray(predictor), x)
    amplitudes = masked(model.amplitudes(codes, predictor.dtype), mask)
    if before is None:
        before = split_alike(jnp.zeros((len(codes), order - 1, 1), predictor.dtype), x)
    return lax.stop_gradient(guess_of(amplitudes, predictor, before[..., 0]))
