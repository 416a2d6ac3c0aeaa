"""Pictures: written without a display or global state, and they show what they are given."""

import json
import sys

import numpy as np
import pytest

from wavedil import UserError
from wavedil.report import pictures

SAMPLE_RATE = 8000


def pixels(path):
    from matplotlib.image import imread

    return imread(path)


def tone(frequency, num_samples=4000):
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(num_samples) / SAMPLE_RATE)


def write_metrics(path, *, last_line=""):
    points = [{"step": step, "bits": 8.0 / step} for step in range(1, 11)]
    points += [{"step": 5, "held_out_bits": 1.7}, {"step": 10, "held_out_bits": 0.9}]
    path.write_text("\n".join(map(json.dumps, points)) + "\n" + last_line)
    return path


@pytest.mark.parametrize("count", [1, 2, 5])
def test_any_number_of_sounds_is_drawn(tmp_path, count):
    sounds = [(f"sound {i}", tone(200 * (i + 1))) for i in range(count)]
    pictures.waveform_and_spectrogram(sounds, SAMPLE_RATE, tmp_path / "picture.png")
    height, width, _ = pixels(tmp_path / "picture.png").shape
    assert width > 600
    assert height > 400 * -(-count // 3)


@pytest.mark.sampled
@pytest.mark.parametrize("title", [r"$\frac{$", "\u4e2d", "caf\udce9", "a\nb\t\x1b", 240 * "n"])
def test_any_name_is_a_title(tmp_path, title):
    for suffix in (".png", ".svg"):
        pictures.waveform_and_spectrogram(
            [(title, tone(440))], SAMPLE_RATE, tmp_path / ("a" + suffix)
        )
    assert pixels(tmp_path / "a.png").std() > 0


def test_sounds_of_other_lengths_and_silence_are_drawn(tmp_path):
    sounds = [("one sample", np.zeros(1)), ("silence", np.zeros(3000)), ("tone", tone(440))]
    pictures.waveform_and_spectrogram(sounds, SAMPLE_RATE, tmp_path / "picture.png")
    assert pixels(tmp_path / "picture.png").std() > 0


def test_near_silence_is_dark_beside_a_recording_and_alone(monkeypatch, tmp_path):
    drawn = []
    monkeypatch.setattr(pictures, "write_figure", lambda figure, path: drawn.append(figure))
    loud, quiet = tone(440), 0.0005 * tone(440)
    for sounds in ([("recording", loud), ("generated", quiet)], [("generated", quiet)]):
        pictures.waveform_and_spectrogram(sounds, SAMPLE_RATE, tmp_path / "picture.png")
    images = [axes.images[0] for figure in drawn for axes in figure.axes if axes.images]
    waves = [axes for figure in drawn for axes in figure.axes if axes.lines]
    beside, alone = images[:2], images[2]
    assert beside[0].get_clim() == beside[1].get_clim()
    assert [axes.get_ylim()[1] for axes in waves] == pytest.approx([0.525, 0.525, 0.0105])
    for image, share in ((beside[0], 1.0), (beside[1], 0.1), (alone, 0.6)):
        lowest, highest = image.get_clim()
        assert highest - lowest == pytest.approx(70.0)
        assert (image.get_array().max() - lowest) / 70.0 == pytest.approx(share, abs=0.1)


@pytest.mark.parametrize("amplitude", [1.0, 0.1])
def test_decibels_are_those_below_a_sine_of_full_scale(amplitude):
    decibels = pictures.spectrogram_db(2 * amplitude * tone(1000), SAMPLE_RATE)
    assert decibels.max() == pytest.approx(20 * np.log10(amplitude), abs=0.1)


@pytest.mark.parametrize("frequency", [250.0, 1000.0, 3000.0])
def test_a_tone_peaks_in_the_spectrogram_at_its_frequency(frequency):
    decibels = pictures.spectrogram_db(tone(frequency), SAMPLE_RATE)
    middle = decibels[:, decibels.shape[1] // 2]
    hertz_per_row = (SAMPLE_RATE / 2) / (len(middle) - 1)
    assert abs(np.argmax(middle) * hertz_per_row - frequency) <= hertz_per_row


def test_the_loss_curve_passes_over_a_last_line_that_is_cut_off(tmp_path):
    metrics = write_metrics(tmp_path / "metrics.jsonl", last_line='{"step": 11, "bi')
    baselines = {"histogram": 6.5, "bigram": 4.5}
    pictures.loss_curve(metrics, tmp_path / "loss.png", baselines=baselines)
    assert pixels(tmp_path / "loss.png").std() > 0


def test_a_broken_line_in_the_middle_is_named(tmp_path):
    metrics = write_metrics(
        tmp_path / "metrics.jsonl", last_line='{"step"\n{"step": 12, "bits": 1}\n'
    )
    with pytest.raises(UserError, match="line 13 is not JSON"):
        pictures.loss_curve(metrics, tmp_path / "loss.png")


@pytest.mark.parametrize(
    ("name", "reason"), [("no/folder.png", "cannot be written"), ("loss.xyz", "xyz")]
)
def test_a_picture_that_cannot_be_written_is_the_users_error(tmp_path, name, reason):
    metrics = write_metrics(tmp_path / "metrics.jsonl")
    with pytest.raises(UserError, match=reason):
        pictures.loss_curve(metrics, tmp_path / name)


def test_nothing_to_draw_is_the_users_error(tmp_path):
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(UserError, match="no step"):
        pictures.loss_curve(tmp_path / "empty.jsonl", tmp_path / "loss.png")
    with pytest.raises(UserError, match="cannot be read"):
        pictures.loss_curve(tmp_path / "absent.jsonl", tmp_path / "loss.png")
    with pytest.raises(UserError, match="no sound"):
        pictures.waveform_and_spectrogram([("empty", np.zeros(0))], SAMPLE_RATE, tmp_path / "a.png")


def test_pictures_do_without_pyplot_and_its_global_state(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # importing it now fails
    pictures.loss_curve(write_metrics(tmp_path / "metrics.jsonl"), tmp_path / "loss.png")
