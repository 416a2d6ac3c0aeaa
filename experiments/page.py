"""The page to listen on of an experiment's runs, and its picture: NAME/page.png, taken in headless Chromium.

    python experiments/page.py [NAME ...]

The runs are those that the experiment's own commands leave in its `runs` folder. `wavedil` makes sounds of each first;
the page itself lies beside the runs.
"""

import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

from wavedil.files import replacing
from wavedil.runs import RunFolder, held_out_recordings

HERE = Path(__file__).parent.resolve()
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
# Pixels of the picture.
WIDTH, HEIGHT = 1200, 830


@dataclasses.dataclass(frozen=True)
class Page:
    """What a page shows.

    Attributes:
      runs: Folders in the experiment's `runs`.
      sounds: Arguments of `wavedil` that make the sounds of one of them; RUN stands for its folder, VOCODER for that of
        the vocoder experiment.
      like: Whether they are the held-out recordings of the page, made again.
    """

    runs: tuple[str, ...]
    sounds: tuple[str, ...] = ()
    like: bool = False


VOCODER = HERE / "vocoder" / "runs" / "pitch_noise_3000"
MADE_AGAIN = "generate RUN RUN/again.wav"
PAGES = {
    # Taken up again, a run that has ended draws the sounds of its last step.
    "amp": Page(("nano",), ("train RUN --training.sample-every 3000",)),
    "classifier": Page(("test",)),
    "diffusion": Page(
        ("run",),
        tuple(
            f"generate RUN RUN/{note}.wav --label note={note} --steps 6 --seconds 0.5"
            for note in ("A3", "B3", "C4", "E4", "G4")
        ),
    ),
    "likelihood": Page(
        ("dilations-to-27-9,000-steps", "dilations-to-243-9,000-steps"),
        ("generate RUN RUN/speech.wav --count 6 --seconds 0.6",),
    ),
    "music": Page(("autoencoder-16ms", "pitch-16ms"), (MADE_AGAIN,), like=True),
    "spoken_digits": Page(
        ("judged/features",),
        tuple(
            f"generate RUN RUN/{digit}_{speaker}.wav --vocoder VOCODER --guidance 2 "
            f"--label digit={digit} --label speaker={speaker}"
            for digit, speaker in zip(
                "024579", ("george", "jackson", "lucas", "nicolas", "theo", "yweweler"), strict=True
            )
        ),
    ),
    "vocoder": Page(("pitch_noise_3000",), (MADE_AGAIN,), like=True),
}


def main(names: list[str]) -> None:
    if CHROMIUM is None:
        sys.exit("no Chromium on the PATH; on Debian: apt-get install chromium")
    for name in names or PAGES:
        if name not in PAGES:
            sys.exit(f"{name} is none of {', '.join(PAGES)}")
        page, folder = PAGES[name], HERE / name / "runs"
        for run in page.runs:
            make_sounds(page, folder / run)
        wavedil("report", *page.runs, "--out", "page.html", "--overwrite", inside=folder)
        photograph(folder / "page.html", HERE / name / "page.png")


def make_sounds(page: Page, folder: Path) -> None:
    """Has the sounds of a run made."""
    run = RunFolder(folder)
    config = run.read_config()
    for command in page.sounds:
        words = {"VOCODER": str(VOCODER)}
        arguments = [words.get(it, it.replace("RUN", str(folder))) for it in command.split()]
        if page.like:
            recordings = held_out_recordings(run, config).sounds
            arguments += [word for sound in recordings for word in ("--like", sound.title)]
        if arguments[0] == "generate":
            arguments.append("--overwrite")
        wavedil(*arguments, inside=config.corpus.folder)


def wavedil(*arguments: str, inside: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "wavedil", *arguments], check=True, cwd=inside)


def photograph(page: Path, picture: Path) -> None:
    """Takes a picture of the top of a page."""
    with replacing(picture) as scratch:
        subprocess.run(
            [
                CHROMIUM or "",
                "--headless",
                "--no-sandbox",
                "--hide-scrollbars",
                "--virtual-time-budget=10000",
                f"--window-size={WIDTH},{HEIGHT}",
                f"--screenshot={scratch}",
                page.resolve().as_uri(),
            ],
            check=True,
            timeout=60,
        )
    print(f"wrote {picture}")


if __name__ == "__main__":
    main(sys.argv[1:])
