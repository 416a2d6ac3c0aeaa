"""Frames of features drawn one after the other, until each sound has ended; and the vocoder that they are for."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float32, PRNGKeyArray

from wavedil.errors import UserError, require_positive, with_article
from wavedil.generation.conditions import Condition, of_features
from wavedil.generation.guidance import guidance_of
from wavedil.generation.keys import signal_keys
from wavedil.models.compilation import compiled
from wavedil.models.feature_net import FeatureNet
from wavedil.models.registry import Model

MOST_SECONDS = 10.0
"""Longest sound by default."""
# Frames drawn by one call of the compiled loop.
_CHUNK = 32


class _Loop(NamedTuple):
    state: Any
    frame: Array
    """The newest one [batch, num_features], zeros before the first."""
    number: Array
    """How many there are."""


def draw_frames(
    model: FeatureNet,
    seed: Any,
    *,
    seconds: float | None = None,
    batch_size: int = 1,
    labels: Mapping[str, Any] | None = None,
    temperature: float = 1.0,
    guidance: float = 1.0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Float32[np.ndarray, "frames num_features"]]:
    """The features of sounds, each as long as it is drawn to be.

    Frame t of sound b is drawn with `fold_in(split(key, batch_size)[b], t)`, so a sound does not depend on those
    beside it.

    Args:
      model: A FeatureNet.
      seed: Of the draws, or a key of JAX.
      seconds: Longest sound, 10 s by default.
      batch_size: Sounds.
      labels: As `generate` takes them.
      temperature: Above 0; below 1 likely frames become likelier. It leaves the length alone.
      guidance: As of `generate`.
      progress: Called with the frames that are drawn, and with most that may be.

    Returns:
      A frame for every `config.hop` samples of each sound, as a vocoder of the same features takes them.

    Warns where a sound had not ended by then.

    Raises:
      UserError: If a number is out of range, the longest sound is shorter than a frame, a label is not known, the model
        cannot be guided, or it gives NaN.

    Example:
      features = draw_frames(model, 0, labels={"digit": "7"})
      codes = generate(vocoder, 0, features=features)

    Reference: Blaauw and Bonada 2017, arXiv:1704.03809.
    """
    if not isinstance(model, FeatureNet):
        raise UserError(
            f"the model is {with_article(type(model).__name__)}, which draws no frames of features; use wd.generate or "
            "wd.synthesize"
        )
    if not 0 < temperature < np.inf:
        raise UserError(f"temperature is {temperature}, but it must be above 0 and finite; use 1")
    (batch_size,) = require_positive(batch_size=batch_size)
    scale = guidance_of(model, guidance, labels)
    config, most = model.config, _most_frames(model, seconds)
    keys, rows = signal_keys(seed, batch_size), config.label_indices(labels, batch_size)
    twice = 1 if scale is None else 2
    if scale is not None:
        # Each sound with its labels, then all of them without.
        rows = {name: jnp.concatenate([row, 0 * row]) for name, row in rows.items()}
    start = jnp.zeros((batch_size * twice, config.num_features))
    loop = _Loop(model.init_state(len(start)), start, jnp.zeros((), jnp.int32))
    draw = compiled(_draw, model)
    parts: list[np.ndarray] = []
    ends: list[np.ndarray] = []
    while (drawn := len(parts) * _CHUNK) < most:
        if progress is not None:
            progress(drawn, most)
        loop, frames, ended = draw(loop, keys, rows, jnp.float32(temperature), scale)
        parts.append(np.asarray(frames).swapaxes(0, 1))
        ends.append(np.asarray(ended).T)
        if np.concatenate(ends, axis=1).any(axis=1).all():
            break
    frames, ended = (np.concatenate(each, axis=1)[:, :most] for each in (parts, ends))
    lengths = np.where(ended.any(axis=1), ended.argmax(axis=1), ended.shape[1])
    sounds = [row[:length] for row, length in zip(frames, lengths.tolist(), strict=True)]
    if not all(np.isfinite(sound).all() for sound in sounds):
        raise UserError(
            "the model gives NaN for a frame, so that none can be drawn: its weights are not finite, or far too large; "
            "use another model"
        )
    _warn_of_cut(int(np.count_nonzero(~ended.any(axis=1))), batch_size, most, model)
    return [config.decode(sound) for sound in sounds]


def conditions_drawn(
    model: FeatureNet, vocoder: Model, seed: Any, **options: Any
) -> list[Condition]:
    """What a vocoder makes sounds of that a model draws the frames of.

    Args:
      model: A FeatureNet.
      vocoder: A vocoder of the same features.
      seed: As of `draw_frames`.
      **options: As of `draw_frames`.

    Raises:
      UserError: As `draw_frames`, or if the vocoder is none, or one of other features.
    """
    require_same_features(model, vocoder)
    drawn = draw_frames(model, seed, **options)
    return of_features(
        vocoder, drawn, [f"features of sound {number}" for number in range(len(drawn))]
    )


def known_labels(vocoder: Model, labels: Mapping[str, Any] | None) -> dict[str, Any]:
    """The labels that a vocoder has, too, of those that frames were drawn for; it is unlabelled in the others."""
    values = vocoder.config.labels
    return {
        name: given
        for name, given in (labels or {}).items()
        if name in values
        and all(value in values[name] for value in ([given] if isinstance(given, str) else given))
    }


def require_same_features(model: FeatureNet, vocoder: Model) -> None:
    """Refuses what makes no sound of a model's frames.

    Raises:
      UserError: With the settings that differ.
    """
    local = getattr(getattr(vocoder, "config", None), "local_conditioning", None)
    if local is None or not hasattr(vocoder, "distribution"):
        name = with_article(type(vocoder).__name__)
        raise UserError(
            f"the vocoder is {'missing' if vocoder is None else f'{name} and no vocoder'}, but frames of features "
            "become sound by a vocoder of the same features; give one (wavedil train FOLDER RUN --task vocoder)"
        )
    if local.mel is None or model.config.mel is None:
        whose = "vocoder" if local.mel is None else "model of features"
        raise UserError(
            f"the {whose} does not say how its features are computed; give one that was trained on mel spectra"
        )
    differences = [f"mel.{line}" for line in model.config.mel.differences(local.mel)]
    if (model.config.pitch is None) != (local.pitch is None):
        one, other = ("with" if item.pitch else "without" for item in (model.config, local))
        differences.append(f"pitch: {one} -> {other}")
    elif model.config.pitch is not None:
        differences += [f"pitch.{line}" for line in model.config.pitch.differences(local.pitch)]
    if differences:
        raise UserError(
            f"the vocoder was trained on other features (those of the frames -> its own): {'; '.join(differences)}; "
            "train one of them with the settings of the other"
        )


def _most_frames(model: FeatureNet, seconds: float | None) -> int:
    config = model.config
    seconds = MOST_SECONDS if seconds is None else seconds
    if isinstance(seconds, str | bool) or not 0 < seconds < np.inf:
        raise UserError(
            f"seconds is {seconds!r}, but it must be a number above 0 and finite; 2, say"
        )
    most = int(seconds * config.sample_rate / config.hop + 1e-6)
    if most < 1:
        raise UserError(
            f"seconds is {seconds:g}, shorter than a frame of features ({config.hop / config.sample_rate:g} s), so "
            "that nothing would be drawn; give a frame's length or more, or leave it out"
        )
    return most


def _warn_of_cut(number: int, batch_size: int, most: int, model: FeatureNet) -> None:
    if not number:
        return
    seconds = most * model.config.hop / model.config.sample_rate
    which = "the sound" if batch_size == 1 else f"{number} of {batch_size} sounds"
    warnings.warn(
        f"{which} had not ended after {seconds:g} s and is cut there; allow for more seconds, or train longer",
        stacklevel=4,
    )


def _draw(
    model: FeatureNet,
    loop: _Loop,
    keys: PRNGKeyArray,
    rows: dict[str, Array],
    temperature: Array,
    guidance: Array | None,
) -> tuple[_Loop, Array, Array]:
    """The next frames [time, batch, num_features], and before which of them a sound has ended [time, batch]."""
    count = len(keys)

    def body(loop: _Loop, _: None) -> tuple[_Loop, tuple[Array, Array]]:
        outputs, state = model.step(loop.frame[:, None], loop.state, rows)
        parameters, end = outputs[:, 0, :-1], outputs[:, 0, -1]
        if guidance is not None:
            parameters = model.distribution.guided(parameters[:count], parameters[count:], guidance)
            end = end[count:] + guidance * (end[:count] - end[count:])
        now = jax.vmap(jax.random.split)(jax.vmap(jax.random.fold_in, (0, None))(keys, loop.number))
        sample = jax.vmap(model.distribution.sample, (0, 0, None))
        frame = sample(now[:, 0], parameters, temperature)
        ended = jax.vmap(jax.random.uniform)(now[:, 1]) < jax.nn.sigmoid(end)
        both = jnp.tile(frame, (len(loop.frame) // count, 1))
        return _Loop(state, both, loop.number + 1), (frame, ended & (loop.number > 0))

    after, (frames, ended) = lax.scan(body, loop, None, length=_CHUNK)
    return after, frames, ended
