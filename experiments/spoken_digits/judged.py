"""Generated digits judged by what understands them: classifiers of digit and speaker, trained on recordings.

    python experiments/spoken_digits/judged.py judges       trains both, and scores recordings with them
    python experiments/spoken_digits/judged.py copies       held-out recordings, made again from their own frames
    python experiments/spoken_digits/judged.py samples      trains a WaveNet with labels; guidance 1, 2 and 3
    python experiments/spoken_digits/judged.py features     trains the first of two stages
    python experiments/spoken_digits/judged.py stages       features and a vocoder; guidance 1, 2 and 3
    python experiments/spoken_digits/judged.py speak        one speaker's digits in two stages: a picture, and the sound

The vocoder of copies and stages is trained by `python experiments/vocoder/pitch.py noise --steps 3000`. Each part
trains what it needs and adds the rows that results.json lacks, under "judged"; one that is interrupted goes on.
`--sounds 4` draws fewer than 20 of each digit and speaker, `--steps 10` trains less, and `--folder FOLDER` keeps the
results and runs of such a trial apart.
"""

import argparse
import functools
import json
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from generators import (
    PAIRS,
    Draw,
    copies,
    griffin_lim_copies,
    labels_of,
    recordings,
    samples,
    stages,
    trained,
)
from judges import Judges
from measures import loudest
from run import SPEAKER

import wavedil as wd
from wavedil.report import waveform_and_spectrogram

HERE = Path(__file__).parent
VOCODER = HERE.parent / "vocoder" / "runs" / "pitch_noise_3000"
GUIDANCES = (1.0, 2.0, 3.0)
TEMPERATURES = (1.0, 0.9, 0.8)
# Of a vocoder, of all samples and of those that are voiced.
VOCODER_TEMPERATURES = ((1.0, 1.0), (0.8, 0.8), (1.0, 0.6))
# The seeds of the half that the temperature is chosen by, and of the other.
VALIDATION, REPORTED = 1, 2


class Experiment:
    """The parts of the command line, and where their results and runs are."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.results = arguments.folder / "results.json"
        self.runs = arguments.folder / "runs" / "judged"
        self.steps, self.vocoder_run = arguments.steps, arguments.vocoder
        # Of each digit and speaker, in either half.
        self.count = arguments.sounds // 2
        self.train, self.test = recordings()

    def judge_recordings(self) -> None:
        """Rows of the held-out recordings, and of as many to train on as there are sounds of a generator."""
        for name, sounds in (("held-out", self.test), ("training", self.train)):
            if self._has(f"{name} recordings"):
                continue
            count = min(self.count, *map(len, sounds.values()))
            chosen = [sound for of_pair in sounds.values() for sound in of_pair[:count]]
            row = self.judges.row(chosen, labels_of(count))
            if sounds is self.test:
                del (
                    row["frechet_distance"],
                    row["frechet_sounds"],
                )  # those are what it is measured from
            self._write(f"{name} recordings", row)

    def judge_copies(self) -> None:
        """Rows of what the second stage alone loses: the held-out recordings from the frames that they have."""
        count = len(self.test[PAIRS[0]])
        rows: dict[str, Callable[[], list[np.ndarray]]] = {
            f"copies, temperature {plain:g}, voiced {voiced:g}": functools.partial(
                copies, self.vocoder, plain, voiced
            )
            for plain, voiced in VOCODER_TEMPERATURES
        }
        for name, make in (rows | {"copies, Griffin-Lim": griffin_lim_copies}).items():
            if not self._has(name):
                self._write(name, self.judges.row(make(), labels_of(count)))

    def judge_samples(self) -> None:
        lengths = {pair: list(map(len, sounds)) for pair, sounds in self.train.items()}
        self._judge("samples", samples(self.model("samples"), lengths))

    def judge_stages(self) -> None:
        self._judge("stages", stages(self.model("features"), self.vocoder))

    def speak(self) -> None:
        """One speaker's ten digits as two stages draw them, a picture of three beside recordings, and the sound."""
        row = self._read()["judged"]["stages, chosen"]
        digits = [str(digit) for digit in range(10)]
        labels = {"digit": digits, "speaker": [SPEAKER] * len(digits)}
        draw = stages(self.model("features"), self.vocoder)
        sounds = draw(labels, REPORTED, row["temperature"], row["guidance"]).sounds
        pairs = []
        for digit in (0, 3, 7):
            recorded = self.test[str(digit), SPEAKER][0]
            pairs += [(f"{digit}, recorded", recorded), (f"{digit}, drawn", sounds[digit])]
        waveform_and_spectrogram(pairs, 8000, self.results.parent / "stages.png")
        wd.audio.save(self.results.parent / "stages.flac", np.concatenate(sounds), 8000)

    @functools.cached_property
    def vocoder(self) -> Any:
        """The second of two stages."""
        if not self.vocoder_run.exists():
            raise SystemExit(
                f"there is no vocoder in {self.vocoder_run}; train it (python experiments/vocoder/pitch.py "
                "noise --steps 3000), or say where one is (--vocoder RUN)"
            )
        return wd.load(self.vocoder_run)

    @functools.cached_property
    def judges(self) -> Judges:
        models = {name: self.model(name) for name in ("digit", "speaker")}
        held_out = [sound for sounds in self.test.values() for sound in sounds]
        loud = loudest([sound for sounds in self.train.values() for sound in sounds], 8000)
        return Judges(models, held_out, loud)

    def model(self, name: str) -> Any:
        """A model, trained by now: the results are part of the repository, the runs are not."""
        if not (self._has(f"{name} training") and (self.runs / name / "model").exists()):
            row = trained(name, self.runs, self.steps)
            cores = len(os.sched_getaffinity(0))
            hardware = f"{cores} cores, {platform.machine()}, no accelerator"
            self._write(f"{name} training", row | {"hardware": hardware})
        return wd.load(self.runs / name)

    def _judge(self, name: str, draw: Draw) -> None:
        """A row for each guidance, at the temperature at which most digits of the validation half are right.

        And which guidance they choose.
        """
        labels = labels_of(self.count)
        for guidance in GUIDANCES:
            title = f"{name}, guidance {guidance:g}"
            if self._has(title):
                continue
            validation = {}
            for temperature in TEMPERATURES:
                sounds = draw(labels, VALIDATION, temperature, guidance).sounds
                share = float(self.judges.right("digit", sounds, labels).mean())
                validation[temperature] = share
                print(f"{title}, temperature {temperature:g}: {share:.3f} right", flush=True)
            chosen = max(validation, key=validation.__getitem__)
            drawn = draw(labels, REPORTED, chosen, guidance)
            row = self.judges.row(drawn.sounds, labels, drawn.likelihood)
            row |= {"guidance": guidance, "temperature": chosen}
            self._write(title, row | {"validation_digit_accuracy": validation})
        rows = [self._read()["judged"][f"{name}, guidance {guidance:g}"] for guidance in GUIDANCES]
        self._write(
            f"{name}, chosen",
            max(rows, key=lambda row: max(row["validation_digit_accuracy"].values())),
        )

    def _has(self, name: str) -> bool:
        return name in self._read().get("judged", {})

    def _read(self) -> dict[str, Any]:
        return json.loads(self.results.read_text()) if self.results.exists() else {}

    def _write(self, name: str, row: dict[str, Any]) -> None:
        results = self._read()
        results.setdefault("judged", {})[name] = _rounded(row)
        self.results.parent.mkdir(parents=True, exist_ok=True)
        self.results.write_text(json.dumps(results, indent=2) + "\n")
        print(name, _rounded(row), flush=True)


PARTS = {
    "judges": Experiment.judge_recordings,
    "copies": Experiment.judge_copies,
    "samples": Experiment.judge_samples,
    "features": lambda experiment: experiment.model("features"),
    "stages": Experiment.judge_stages,
    "speak": Experiment.speak,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--sounds", type=int, default=20)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--folder", type=Path, default=HERE)
    parser.add_argument("--vocoder", type=Path, default=VOCODER)
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(unknown)}; name some of {', '.join(PARTS)}")
    if arguments.sounds < 4:
        parser.error(
            f"--sounds is {arguments.sounds}; a half of them chooses settings, give at least 4"
        )
    experiment = Experiment(arguments)
    for part in arguments.parts or PARTS:
        PARTS[part](experiment)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    return round(value, 4) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
