"""`wavedil demo`: from recordings to a trained model, a sound, pictures and a page to listen on, in minutes."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from wavedil.cli.evaluate import score, score_table
from wavedil.cli.report import write_page
from wavedil.cli.train import read, run_training, stopped
from wavedil.data import CorpusConfig
from wavedil.errors import UserError
from wavedil.models import WaveNetConfig
from wavedil.tasks import GeneratorTask
from wavedil.training import RunConfig, TrainingConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from wavedil.data import Corpus, Recording
    from wavedil.models import WaveNet

# Small enough for two cores and three minutes: low bandwidth and 95 ms of context. What a string does
# now it did a period ago: two layers of six taps see each of the last 36 samples by a way of its own. After 800 steps
# that is 2.98 held-out bits; six layers of three taps, as many weights, 3.19; a learning rate twice as high 2.72.
_SAMPLE_RATE = 8000
_LABELS = r"pluck_(?P<note>\w+)_(?P<index>\d+)"
_MODEL = WaveNetConfig(
    kernel_size=6,
    dilations=(1, 6, 36, 108),
    cycles=1,
    residual_channels=32,
    skip_channels=128,
    sample_rate=_SAMPLE_RATE,
)
_TRAINING = TrainingConfig(
    steps=2000,
    batch_size=1,
    window_size=4096,
    optimizer="muon",
    learning_rate=8e-3,
    ema_decay=0.99,
    log_every=20,
    evaluate_every=200,
    save_every=500,
    sample_every=1000,
)
_SECONDS, _SEED = 2.0, 0
# Of every note so many are drawn to be compared with recordings, each as long as the shortest of those.
_NUM_COMPARED, _COMPARED_SECONDS = 8, 0.25
_DISTANCE = "spectral distance to held-out recordings of the same note"
_MARK = "demo.json"


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Train a small model in minutes, hear it and see it.

    Without a folder it makes its own recordings of plucked strings. The same command again resumes.

    Example: wavedil demo recordings --out my-demo
    """

    folder: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="[FOLDER]")] = None
    """Your own recordings, rather than plucked strings."""
    out: Annotated[Path, tyro.conf.arg(metavar="FOLDER")] = Path("demo")
    """Where everything goes."""


def demo(args: Demo) -> int:
    """Trains, scores, generates, draws, and says where things are; returns the exit code.

    Raises:
      UserError: If the recordings cannot be used, or the folder holds something else.
    """
    config = RunConfig(task=GeneratorTask(), corpus=_claim(args), model=_MODEL, training=_TRAINING)
    corpus: Any = read(config)
    print("\n".join(corpus.describe()))
    run = run_training(config, args.out / "run", corpus)
    if run.stopped_by is not None:
        return stopped(run)
    baselines = config.task.baselines(config, corpus, corpus.test)
    print("\n".join(["held out:", *score_table(score(run.model, corpus.test), baselines)]))
    bits = {name: metrics["bits"] for name, metrics in baselines.items()}
    _sound_and_pictures(args.out, run.model, corpus, bits)
    distances = _distances_db(run.model, corpus) if "note" in corpus.label_values else {}
    if distances:
        print(f"{_DISTANCE}:")
        print("\n".join(f"{name:<20}{value:7.2f} dB" for name, value in distances.items()))
    scores = {f"{_DISTANCE}, {name}": f"{value:.2f} dB" for name, value in distances.items()}
    write_page(args.out / "page.html", [run.folder], [args.out.resolve().name], scores)
    print(f"hear another: wavedil generate {run.folder} another.wav" + _label_example(corpus))
    return 0


def _claim(args: Demo) -> CorpusConfig:
    """Makes the output folder ours, with recordings in it unless the user has their own."""
    source = None if args.folder is None else str(args.folder.resolve())
    mark = args.out / _MARK
    if mark.is_file():
        before = json.loads(mark.read_text())["recordings"]
        if before != source:
            raise UserError(
                f"{args.out} holds a demo of {before or 'plucked strings'}, not of "
                f"{source or 'plucked strings'}; choose another place with --out"
            )
    elif args.out.exists() and (not args.out.is_dir() or any(args.out.iterdir())):
        raise UserError(f"{args.out} exists and is no demo's; choose another place with --out")
    if source is not None and not Path(source).exists():
        raise UserError(f"{args.folder} does not exist; give a folder of recordings")
    if source is not None and args.out.resolve().is_relative_to(source):
        raise UserError(
            f"{args.out} lies among the recordings of {args.folder}, and the sound made there would be read "
            "as one of them; choose a place outside with --out"
        )
    args.out.mkdir(parents=True, exist_ok=True)
    mark.write_text(json.dumps({"recordings": source}) + "\n")
    if source is not None:
        return CorpusConfig(folder=source, sample_rate=_SAMPLE_RATE)

    from wavedil.data import write_plucked_strings

    corpus = args.out / "corpus"
    files = write_plucked_strings(corpus)
    print(f"{corpus}: {len(files)} recordings of plucked strings")
    return CorpusConfig(folder=str(corpus.resolve()), labels=_LABELS)


def _sound_and_pictures(
    out: Path, model: "WaveNet", corpus: "Corpus", baselines: dict[str, float]
) -> None:
    import numpy as np

    from wavedil import audio
    from wavedil.files import write_json
    from wavedil.report import loss_curve, waveform_and_spectrogram
    from wavedil.runs import RunFolder

    labels, recordings, pieces = _beside(model, corpus)
    real, generated = np.concatenate(recordings), np.concatenate(pieces)
    sound = out / "generated.wav"
    audio.save(sound, generated, corpus.sample_rate)
    # Where the page finds them, beside the recordings.
    samples = RunFolder(out / "run").samples
    samples.mkdir(exist_ok=True)
    names = [f"{number}.wav" for number in range(1, len(pieces) + 1)]
    for name, piece in zip(names, pieces, strict=True):
        audio.save(samples / name, piece, corpus.sample_rate)
    write_json(samples / "made.json", {"sounds": names, "labels": labels, "seed": _SEED})
    pair = [("generated", generated), ("held-out recordings", real)]
    waveform_and_spectrogram(pair, corpus.sample_rate, out / "picture.png")
    loss_curve(out / "run" / "metrics.jsonl", out / "loss.png", baselines=baselines)
    print(f"{sound}: {_SECONDS:g} s of generated sound")
    print(f"{out / 'picture.png'}: its waveform and spectrogram, beside held-out recordings")
    print(f"{out / 'loss.png'}: bits per sample as it trained")
    print(f"{out / 'run'}: the model, its settings and checkpoints")


def _beside(
    model: "WaveNet", corpus: "Corpus"
) -> "tuple[list[Any], list[np.ndarray], list[np.ndarray]]":
    """Of two seconds in equal pieces: the labels of each, that of a held-out recording, and one generated.

    A recording is a piece; the model has learnt how one begins and fades, not what follows it.
    """
    from wavedil.data import spread
    from wavedil.frames import crop
    from wavedil.generation import generate
    from wavedil.labels import Vocabulary
    from wavedil.report import progress

    num_samples = round(_SECONDS * corpus.sample_rate)
    length = sorted(recording.num_scored for recording in corpus.test)[len(corpus.test) // 2]
    num_pieces = min(-(-num_samples // length), len(corpus.test))
    chosen = spread(corpus.test, num_pieces)
    size, quantizer = num_samples // num_pieces, model.config.quantizer
    starts = [0 if item.scored is None else item.scored[0] for item in chosen]
    real = [
        crop(item.codes, start, size, quantizer.silence)
        for item, start in zip(chosen, starts, strict=True)
    ]
    labels: list[Any] = [dict(item.labels) for item in chosen]
    rows = Vocabulary(model.config.labels).rows_of(labels)
    with progress("generating") as done:
        codes = generate(
            model, _SEED, num_samples=size, batch_size=num_pieces, labels=rows, progress=done
        )
    return labels, [quantizer.decode(item) for item in real], list(quantizer.decode(codes))


def _distances_db(model: "WaveNet", corpus: "Corpus") -> dict[str, float]:
    """How far sounds of the model are from held-out recordings of the same note, and recordings it has learnt of."""
    import numpy as np

    from wavedil.data import spread
    from wavedil.evaluation import mean_spectra_distance_db
    from wavedil.generation import generate
    from wavedil.report import progress

    notes = sorted({item.labels["note"] for item in corpus.test})
    quantizer = model.config.quantizer

    def of_note(recordings: "Sequence[Recording]", note: str) -> "list[np.ndarray]":
        same = [item for item in recordings if item.labels["note"] == note]
        chosen = spread(same, min(_NUM_COMPARED, len(same)))
        return [quantizer.decode(item.codes) for item in chosen]

    with progress("generating") as done:
        codes = generate(
            model,
            _SEED,
            num_samples=round(_COMPARED_SECONDS * corpus.sample_rate),
            batch_size=_NUM_COMPARED * len(notes),
            labels={"note": [note for note in notes for _ in range(_NUM_COMPARED)]},
            progress=done,
        )
    drawn = list(quantizer.decode(codes).reshape(len(notes), _NUM_COMPARED, -1))
    trained = [of_note(corpus.train, note) for note in notes]
    real = [of_note(corpus.test, note) for note in notes]

    def mean_db(sounds: "list[Any]") -> float:
        pairs = zip(real, sounds, strict=True)
        return float(
            np.mean([mean_spectra_distance_db(a, list(b), corpus.sample_rate) for a, b in pairs])
        )

    return {"this model": mean_db(drawn), "training recordings": mean_db(trained)}


def _label_example(corpus: "Corpus") -> str:
    return "".join(f" --label {name}={values[-1]}" for name, values in corpus.label_values.items())
