"""The corpus of plucked strings: reproducible, small, pitched and decaying."""

import numpy as np
import pytest

from wavedil import UserError, audio
from wavedil.data import CorpusConfig, plucked_strings, read_corpus

# Equal temperament from A4 = 440 Hz, in semitones below A4.
SEMITONES = {"A3": -12, "B3": -10, "C4": -9, "E4": -5, "G4": -2}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return plucked_strings.write_plucked_strings(tmp_path_factory.mktemp("strings"))


def note_of(path):
    return path.stem.split("_")[1]


def contents(files):
    return {file.name: file.read_bytes() for file in files}


def test_equal_seeds_write_equal_bytes_and_others_other_ones(tmp_path, files):
    again = plucked_strings.write_plucked_strings(tmp_path / "again")
    other = plucked_strings.write_plucked_strings(tmp_path / "other", seed=1)
    assert contents(again) == contents(files)
    assert not set(contents(other).values()) & set(contents(files).values())


def test_the_corpus_is_small_and_its_durations_vary(files):
    infos = [audio.read_info(file) for file in files]
    assert {(info.sample_rate, info.num_channels) for info in infos} == {(8000, 1)}
    seconds = [info.seconds for info in infos]
    assert 140 <= sum(seconds) <= 180
    assert 0.25 <= min(seconds) < 0.3 and 0.45 < max(seconds) <= 0.5
    assert {note_of(file) for file in files} == set(SEMITONES)


def test_every_note_sounds_at_its_pitch(files):
    for file in files:
        samples, rate = audio.load(file)
        spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 1 << 17))
        wanted = 440 * 2 ** (SEMITONES[note_of(file)] / 12)
        # The strongest partial within three semitones of the note is its fundamental.
        bins = np.arange(len(spectrum)) * rate / (1 << 17)
        near = np.flatnonzero((bins > wanted / 1.2) & (bins < wanted * 1.2))
        found = bins[near[spectrum[near].argmax()]]
        assert abs(1200 * np.log2(found / wanted)) < 4, file.name


def test_a_period_after_a_period_repeats_a_note(files):
    for file in files:
        samples, _ = audio.load(file)
        period = plucked_strings.SAMPLE_RATE / plucked_strings.NOTES[note_of(file)]
        # As many periods as come nearest to a whole number of samples.
        lag = round(min((n * period for n in range(1, 6)), key=lambda lag: abs(lag - round(lag))))
        part = samples[200:1600]
        later = samples[200 + lag : 1600 + lag]
        assert np.corrcoef(part, later)[0, 1] > 0.95, file.name


def test_notes_decay_and_darken(files):
    for file in files:
        samples, rate = audio.load(file)
        # Halves of a recording are at least 0.125 s apart, about half a decay.
        early, late = np.split(samples[: len(samples) // 2 * 2], 2)
        assert np.square(late).sum() < 0.4 * np.square(early).sum(), file.name
        part = rate // 20
        assert brightness(samples[:part]) > brightness(samples[4 * part : 5 * part]), file.name


def brightness(samples):
    """Mean frequency, as a share of the highest."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    return (np.linspace(0, 1, len(spectrum)) * spectrum).sum() / spectrum.sum()


def test_recordings_are_loud_and_their_noise_is_far_below_the_notes(files):
    for file in files:
        samples, _ = audio.load(file)
        assert 0.39 < np.abs(samples).max() <= 0.91
        spectrum = np.abs(np.fft.rfft(samples[-1024:] * np.hanning(1024)))
        assert spectrum[-100:].mean() < 1e-2


def test_the_notes_are_labels(files):
    labels = r"pluck_(?P<note>\w+)_(?P<index>\d+)"
    corpus = read_corpus(CorpusConfig(folder=str(files[0].parent), labels=labels))
    assert set(corpus.label_values) == {"note"}
    assert set(corpus.label_values["note"]) == set(SEMITONES)
    assert (len(corpus.train), len(corpus.test)) == (378, 42)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match="cannot be made a folder"):
        plucked_strings.write_plucked_strings(tmp_path / "taken" / "strings")
