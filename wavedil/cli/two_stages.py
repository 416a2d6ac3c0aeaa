"""Sound in two stages: the vocoder for a model of features, and the frames that the model draws for it."""

from typing import TYPE_CHECKING

from wavedil.cli.generate_options import Generate
from wavedil.errors import UserError, with_article

if TYPE_CHECKING:
    from wavedil.generation import Condition
    from wavedil.models import Model


def vocoder_of(args: Generate, model: "Model") -> "Model | None":
    """The vocoder of a model of features; None for a model that draws sound itself.

    Raises:
      UserError: If it is missing, or one of other features, or given to a model that takes none.
    """
    from wavedil.formats import load
    from wavedil.generation import require_same_features
    from wavedil.models import FeatureNet

    if not isinstance(model, FeatureNet):
        if args.vocoder is not None:
            raise UserError(
                f"{args.run} is {with_article(model.config.name)}, which draws no frames for a vocoder; leave "
                "--vocoder out, or give a model of features (train --task features)"
            )
        return None
    if args.vocoder is None:
        raise UserError(
            f"{args.run} draws frames of features, which a vocoder makes sound of; give one: --vocoder RUN"
        )
    given = (args.prompt, args.between, args.steps)
    if args.like or args.features or any(one is not None for one in given):
        raise UserError(
            f"{args.run} draws frames of features itself; leave --like, --features, --between, --prompt and --steps "
            "out"
        )
    vocoder = load(args.vocoder)
    require_same_features(model, vocoder)
    return vocoder


def frames_drawn(
    args: Generate, model: "Model", vocoder: "Model", labels: dict[str, str], count: int
) -> "list[Condition]":
    """The frames that a model of features draws for each sound, perhaps with another pitch."""
    from wavedil.generation import conditions_drawn, with_pitch
    from wavedil.report import progress

    with progress("drawing frames") as done:
        wanted = conditions_drawn(
            model,
            vocoder,
            args.seed,
            seconds=args.seconds,
            batch_size=count,
            labels=labels,
            temperature=args.temperature,
            guidance=args.guidance,
            progress=done,
        )
    if args.pitch_factor is not None or args.flat_pitch is not None:
        wanted = with_pitch(vocoder, wanted, factor=args.pitch_factor, flat_hz=args.flat_pitch)
    return wanted
