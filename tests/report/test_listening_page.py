"""The page to listen on as a file: complete in itself, true to the sounds, and honest about what it lacks."""

import base64
import html.parser
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command_line import mistake
from listening_runs import listening_run, record, record_steps, recordings
from recordings import tone

from wavedil import audio
from wavedil.cli.main import main
from wavedil.report import Column, RunFacts, Sound, write_listening_page

EMPTY = {"model": {}, "scores": {}, "settings": {}, "metrics": []}


class Page(html.parser.HTMLParser):
    """Titles, sounds and text of a page; every element in it is closed."""

    VOID = ("meta", "img", "br")

    def __init__(self, text):
        super().__init__()
        self.open, self.titles, self.sounds, self.pictures, self.text = [], [], [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "audio":
            content = base64.b64decode(attributes["src"].removeprefix("data:audio/wav;base64,"))
            self.sounds.append(soundfile.read(io.BytesIO(content), dtype="float32")[0])
        if tag == "img":
            assert attributes["src"].startswith("data:image/webp;base64,UklGR")
            self.pictures.append(attributes["src"])
        self.last = attributes.get("class")

    def handle_startendtag(self, tag, attributes):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data
            if self.last == "title":
                self.titles.append(data)
                self.last = None


def written(capsys, *arguments):
    """The page that the command line writes, and its text."""
    assert main(["report", *map(str, arguments)]) == 0
    path = re.match(r"(.*): a page of", capsys.readouterr().out)[1]
    text = Path(path).read_text(encoding="utf-8")
    return Page(text), text


@pytest.fixture
def corpus(tmp_path):
    return recordings(tmp_path / "recordings")


@pytest.fixture
def run(tmp_path, corpus):
    return listening_run(tmp_path / "small", corpus, "seven.wav", "samples/9.wav", "samples/10.wav")


def test_the_page_asks_for_nothing_from_outside_and_holds_every_sound_as_its_file_does(
    capsys, run, corpus
):
    page, text = written(capsys, run)
    assert not re.search(
        r"https?:|//\w[\w.]*\.\w|@import|url\(|<link|<iframe|fetch\(|import\(",
        re.sub(r"base64,[^\"]*", "", text),
    )
    assert "default-src 'none'" in text
    sounds = ("samples/9.wav", "samples/10.wav", "seven.wav")
    files = [corpus / "2_theo.wav", corpus / "3_theo.wav", *(run / name for name in sounds)]
    assert page.titles == [
        "2_theo.wav",
        "3_theo.wav",
        "samples/9.wav",
        "samples/10.wav",
        "seven.wav",
    ]
    for file, samples in zip(files, page.sounds, strict=True):
        np.testing.assert_array_equal(samples, audio.load(file)[0], err_msg=str(file))
    assert len(set(page.pictures)) == len(page.pictures) == 5


def test_the_page_says_labels_model_scores_settings_and_the_curve(capsys, run):
    record(run, "seven.wav", digit="7")
    page, text = written(capsys, run)
    for words in (
        "digit = 2, speaker = theo",
        "digit = 7, temperature 0.9, seed 3",
        "bits per sample6.250",
    ):
        assert words in page.text
    for words in (
        "taskgenerator",
        "parameters",
        "receptive field",
        "training.steps40",
        "held out: 6.25 at the end",
    ):
        assert words in page.text
    assert text.count("<polyline") == 2


def test_sounds_of_a_training_stand_in_columns_by_step_with_what_they_are_of(capsys, run, corpus):
    record_steps(run, 900, 1000, recordings=True)
    (run / "samples/step-000300").mkdir()  # cut short: without its record it shows as your own
    page, text = written(capsys, run)
    assert page.titles[2:] == ["samples/9.wav", "samples/10.wav", "seven.wav"] + 3 * [
        "1.wav",
        "2.wav",
    ]
    columns = re.findall(r'class="column"><h3>(.*?)</h3>', text)
    assert columns == ["held-out recordings", "small", "recordings", "step 900", "step 1,000"]
    assert "digit = 1; 0.25 s" in page.text and "digit = 2, of a.wav; 0.25 s" in page.text


def test_of_many_steps_a_few_are_shown_the_newest_among_them_and_the_page_says_so(
    capsys, tmp_path, corpus
):
    run, other = (listening_run(tmp_path / name, corpus) for name in ("a", "b"))
    record_steps(run, *range(1, 8))
    record_steps(other, 5)
    page, text = written(capsys, run, other)
    assert page.titles[2:4] == [f"samples/step-000007/{number}.wav" for number in (1, 2)]
    columns = [title for title in re.findall(r"<h3>(.*?)</h3>", text) if "step" in title]
    assert columns == ["a, step 2", "a, step 4", "a, step 6", "a, step 7", "b, step 5"]
    assert "4 of 7 steps are shown" in page.text


def test_runs_of_one_corpus_stand_beside_one_column_of_recordings(capsys, tmp_path, run, corpus):
    other = listening_run(tmp_path / "large", corpus, "seven.wav", steps=20)
    page, text = written(capsys, run, other, "--out", tmp_path / "both.html")
    assert text.count('<div class="column">') == 3
    assert page.titles.count("2_theo.wav") == 1 and page.titles.count("seven.wav") == 2
    assert text.count("<polyline") == 4
    assert re.search(r'class="differs"><th scope="row">training.steps</th><td>40</td><td>20', text)


def test_runs_that_hold_out_the_same_recordings_share_their_column_whatever_else_they_read(
    capsys, tmp_path, run, corpus
):
    other = listening_run(tmp_path / "other", corpus, "seven.wav")
    config = json.loads((other / "config.json").read_text())
    config["recordings_fingerprint"] = "of other features"
    config["corpus"]["labels"] = None
    (other / "config.json").write_text(json.dumps(config))
    _, text = written(capsys, run, other, "--out", tmp_path / "both.html")
    assert re.findall(r"<h3>(.*?)</h3>", text)[0] == "held-out recordings"
    assert "digit = 2, speaker = theo" in text
    listed = (other / "recordings.jsonl").read_text().splitlines(keepends=True)
    (other / "recordings.jsonl").write_text("".join(it for it in listed if "2_theo" not in it))
    _, text = written(capsys, run, other, "--out", tmp_path / "apart.html")
    columns = re.findall(r"<h3>(.*?)</h3>", text)
    assert columns[:2] == ["held-out recordings of small", "held-out recordings of other"]


def test_what_a_sound_was_made_of_is_said_beside_it(capsys, run):
    made = {"sounds": ["seven.wav"], "of": ["a/7.wav"], "guidance": 1.0, "seed": 0, "labels": {}}
    made["pitch_factor"] = 1.2
    (run / "seven.json").write_text(json.dumps(made))
    page, _ = written(capsys, run)
    assert "of a/7.wav, pitch factor 1.2, seed 0; 0" in page.text


def test_a_run_without_sounds_and_recordings_says_so_and_gives_the_rest(capsys, tmp_path, corpus):
    run = listening_run(tmp_path / "silent", corpus)
    for file in corpus.iterdir():
        file.unlink()
    corpus.rmdir()
    page, _ = written(capsys, run)
    assert page.sounds == []
    sound = run / "sound.wav"
    assert f"silent holds no sound; hear it: wavedil generate {run} {sound}" in page.text
    assert "the recordings cannot be read: " in page.text and "does not exist" in page.text
    assert "bits per sample6.250" in page.text


def test_what_cannot_be_read_is_named_beside_what_can(capsys, run, corpus):
    (run / "samples/9.wav").write_bytes(b"no sound")
    (corpus / "2_theo.wav").unlink()
    page, _ = written(capsys, run)
    assert page.titles == ["3_theo.wav", "samples/10.wav", "seven.wav"]
    assert "2_theo.wav is no longer in" in page.text
    assert "samples/9.wav" in page.text


def test_a_page_is_not_overwritten_unasked_and_a_folder_without_a_run_is_refused(
    capsys, tmp_path, run
):
    page = tmp_path / "small.html"
    page.write_text("mine")
    assert "small.html exists; give another name, or --overwrite" in mistake(capsys, "report", run)
    assert page.read_text() == "mine"
    assert main(["report", str(run), "--overwrite"]) == 0
    capsys.readouterr()
    assert "holds no training run" in mistake(
        capsys, "report", tmp_path, "--out", tmp_path / "a.html"
    )
    assert "suffix must be .html or .htm" in mistake(capsys, "report", run, "--out", "a.txt")
    assert "is no folder" in mistake(capsys, "report", run, "--out", tmp_path / "none" / "a.html")
    assert not (tmp_path / "a.html").exists()


def test_twenty_sounds_of_a_second_are_under_five_megabytes_and_names_are_no_markup(tmp_path):
    noise = np.random.default_rng(0).uniform(-1, 1, 24000).astype(np.float32)
    sounds = [Sound(title=f"<b>{n}&\udce9$x", samples=noise, sample_rate=24000) for n in range(20)]
    facts = RunFacts(name="<i>", **EMPTY)
    write_listening_page(tmp_path / "page.html", [facts], [Column(title="<b>", sounds=sounds)])
    content = (tmp_path / "page.html").read_bytes()
    assert len(content) < 5e6
    assert Page(content.decode()).titles[0] == "<b>0&\\udce9$x"


@pytest.mark.parametrize(
    "rate, count, seconds, megabytes",
    [
        (8000, 20, 8.7, 5),
        (11025, 20, 6.3, 5),
        (16000, 20, 4.3, 5),
        (16000, 8, 10.0, 5),
        (24000, 14, 4.1, 5),
        (44100, 20, 4.0, 12),
    ],
)
def test_of_longer_sounds_the_page_holds_what_there_is_room_for(
    tmp_path, rate, count, seconds, megabytes
):
    noise = np.random.default_rng(0).uniform(-1, 1, 12 * rate).astype(np.float32)
    sounds = [Sound(title="noise", samples=noise, sample_rate=rate) for _ in range(count)]
    write_listening_page(
        tmp_path / "a.html", [RunFacts(name="a", **EMPTY)], [Column(title="a", sounds=sounds)]
    )
    assert (tmp_path / "a.html").stat().st_size < 1e6 * megabytes
    page = Page((tmp_path / "a.html").read_text())
    assert {len(samples) for samples in page.sounds} == {round(seconds * rate)}
    assert page.text.count(f"the first {seconds:.1f} s of 12.00 s at {rate} Hz") == count


def test_of_a_long_sound_the_page_holds_the_first_ten_seconds_and_says_so(tmp_path):
    sound = Sound(title="long", samples=tone(100_000), sample_rate=8000)
    write_listening_page(
        tmp_path / "a.html", [RunFacts(name="a", **EMPTY)], [Column(title="a", sounds=[sound])]
    )
    page = Page((tmp_path / "a.html").read_text())
    assert len(page.sounds[0]) == 80_000
    assert "the first 10.0 s of 12.50 s at 8000 Hz" in page.text


def test_curves_of_no_finite_value_or_of_a_single_one_are_drawn_without_fail(tmp_path):
    metrics = [{"step": 1, "loss": float("nan")}, {"step": 1, "held_out_loss": 3.0}]
    for lines in (metrics, metrics[:1], []):
        facts = RunFacts(name="a", **{**EMPTY, "metrics": lines})
        write_listening_page(tmp_path / "a.html", [facts], [])
        text = (tmp_path / "a.html").read_text()
        assert ("<svg" in text) == (len(lines) == 2) and "nan" not in Page(text).text
