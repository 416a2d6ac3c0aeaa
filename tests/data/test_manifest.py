"""Manifests: CSV and JSON lines, their splits and labels, and their mistakes by line."""

import gc
import json
import os
import time

import pytest
from recordings import write

from wavedil import UserError
from wavedil.data import CorpusConfig, read_corpus
from wavedil.data.listing import list_entries

ROWS = [
    {"path": "wavs/a.wav", "split": "train", "speaker": "ann", "mood": "calm"},
    {"path": "wavs/b.wav", "split": "test", "speaker": "bob", "mood": ""},
    {"path": "wavs/c.wav", "split": "train", "speaker": "cy", "mood": "loud"},
]


@pytest.fixture
def folder(tmp_path):
    for name in "abc":
        write(tmp_path / "wavs" / f"{name}.wav")
    return tmp_path


def write_manifest(folder, suffix, rows):
    path = folder / f"files{suffix}"
    if suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n\n" for row in rows))
    else:
        names = list(rows[0])
        lines = [names] + [[row.get(name, "") for name in names] for row in rows]
        # A byte-order mark, as spreadsheets write it.
        path.write_text("\n".join(",".join(line) for line in lines), encoding="utf-8-sig")
    return path


def read(path, **settings):
    return read_corpus(CorpusConfig(folder=str(path), **settings))


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_manifest_gives_paths_split_and_labels(folder, suffix):
    corpus = read(write_manifest(folder, suffix, ROWS))
    assert [item.path for item in corpus.train] == ["wavs/a.wav", "wavs/c.wav"]
    assert [item.path for item in corpus.test] == ["wavs/b.wav"]
    assert corpus.label_values == {"speaker": ("ann", "bob", "cy"), "mood": ("calm", "loud")}
    assert corpus.test[0].labels == {"speaker": "bob"}
    assert corpus.unlabelled == {"speaker": 0, "mood": 1}


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_manifest_is_separated_as_spreadsheets_do(folder, separator):
    lines = [",".join(ROWS[0]), *(",".join(row.values()) for row in ROWS)]
    manifest = folder / "files.csv"
    manifest.write_text("\r\n".join(lines).replace(",", separator), encoding="utf-8-sig")
    assert read(manifest).test[0].labels == {"speaker": "bob"}


def test_blanks_that_align_columns_are_no_part_of_names_and_values(folder):
    manifest = folder / "files.csv"
    manifest.write_text("path,       split\nwavs/a.wav, train\nwavs/b.wav, test \n")
    corpus = read(manifest)
    assert [item.path for item in corpus.test] == ["wavs/b.wav"] and not corpus.label_values


def test_the_numbers_of_rows_in_a_column_without_a_name_are_no_label(folder):
    manifest = folder / "files.csv"
    manifest.write_text(",path,mood\n0,wavs/a.wav,calm\n1,wavs/b.wav,calm\n")
    assert read(manifest).label_values == {"mood": ("calm",)}


def test_a_label_whose_name_is_no_text_is_refused(folder):
    manifest = write_manifest(folder, ".jsonl", [{"path": "wavs/a.wav", "caf\udce9": "x"}])
    with pytest.raises(UserError, match=r"label 'caf\\udce9' is no text; rename it"):
        read(manifest)


def test_json_lines_may_begin_with_a_byte_order_mark(folder):
    path = write_manifest(folder, ".jsonl", ROWS)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(read(path).train) == 2


def test_a_manifest_that_is_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "files.csv")
    with pytest.raises(UserError, match="it is a pipe or a device"):
        read(tmp_path / "files.csv")


def test_a_long_manifest_is_listed_in_the_time_of_its_rows(tmp_path):
    rows = [f"wavs/{n % 50}/{n:06}.wav,s{n % 50},train" for n in range(50_000)]
    manifest = tmp_path / "files.csv"
    manifest.write_text("\n".join(["path,speaker,split", *rows]))
    gc.disable()  # it would look through what all other tests have left
    try:
        begun = time.process_time()
        entries = list_entries(str(manifest))
        seconds = time.process_time() - begun
    finally:
        gc.enable()
    assert len(entries) == 50_000 and seconds < 3
    assert entries[1].labels == {"speaker": "s1"} and entries[1].file.parent.parent.name == "wavs"


def test_values_of_json_become_text_and_null_is_no_label(folder):
    rows = [
        {"path": f"wavs/{name}.wav", "pitch": p}
        for name, p in zip("abc", [60, None, 7], strict=True)
    ]
    corpus = read(write_manifest(folder, ".jsonl", rows))
    assert corpus.label_values == {"pitch": ("7", "60")}
    assert corpus.unlabelled == {"pitch": 1}


def test_columns_that_begin_with_an_underscore_and_index_are_no_labels(folder):
    rows = [{"path": r["path"], "_text": "hello", "index": "3", "speaker": "x"} for r in ROWS]
    assert read(write_manifest(folder, ".csv", rows)).label_values == {"speaker": ("x",)}


def test_a_test_pattern_goes_before_the_manifests_split(folder):
    corpus = read(write_manifest(folder, ".csv", ROWS), test="a[.]wav")
    assert [item.path for item in corpus.test] == ["wavs/a.wav"]


def test_a_pattern_adds_labels_to_those_of_the_manifest(folder):
    corpus = read(write_manifest(folder, ".csv", ROWS), labels=r"(?P<letter>\w)[.]wav")
    assert corpus.label_values["letter"] == ("a", "b", "c")
    assert list(corpus.label_values) == ["speaker", "mood", "letter"]


def test_a_listed_file_that_is_absent_is_skipped_and_named(folder):
    manifest = write_manifest(folder, ".csv", [*ROWS, {"path": "wavs/gone.wav", "split": "train"}])
    corpus = read(manifest)
    assert [bad.path for bad in corpus.skipped] == ["wavs/gone.wav"]
    assert "No such file" in corpus.skipped[0].reason


@pytest.mark.parametrize(
    ("suffix", "text", "message"),
    [
        (".csv", "path,split\n", "lists no recordings"),
        (".jsonl", "", "lists no recordings"),
        (
            ".csv",
            "file,mood\na.wav,calm\n",
            "has no path; its columns are file, mood; call the one",
        ),
        (
            ".jsonl",
            '{"wav": "a.wav", "mood": 1}',
            "has no path; its columns are wav, mood; call the one",
        ),
        (".csv", "path,mood\n,calm\n", "line 2 has no path; give one, or remove the row"),
        (".csv", "mood,path\ncalm\n", "line 2 has no path; give one, or remove the row"),
        (".csv", "path;text\na.wav;yes; or no\n", "quote values that hold a semicolon"),
        (".jsonl", 5000 * "[", "cannot be read as JSON lines"),
        (".csv", "path\na.wav\na.wav\n", "line 3 lists a.wav a second time"),
        (".csv", "path\na.wav\n./a.wav\n", "line 3 lists a.wav a second time"),
        (".csv", "path,split\na.wav,dev\n", "split 'dev'; it must be 'train' or 'test'"),
        (".csv", "path,split\na.wav,test\nb.wav,\n", r"b.wav has none"),
        (".csv", "path,text\na.wav,yes, or no\n", "line 2 has more values than columns"),
        (".jsonl", '{"path": "a.wav"}\n[1]\n', "line 2 is not an object"),
        (".jsonl", '{"path": "a.wav"', "cannot be read as JSON lines"),
    ],
)
def test_a_mistake_in_a_manifest_is_named_by_its_line(tmp_path, suffix, text, message):
    manifest = tmp_path / f"files{suffix}"
    manifest.write_text(text)
    with pytest.raises(UserError, match=message):
        read(manifest)


def test_a_manifest_that_is_not_utf8_is_refused(tmp_path):
    manifest = tmp_path / "files.csv"
    manifest.write_bytes("path\nmüsli.wav\n".encode("latin-1"))
    with pytest.raises(UserError, match="UTF-8"):
        read(manifest)


def test_a_label_in_both_manifest_and_pattern_is_refused(folder):
    with pytest.raises(UserError, match="'speaker' comes from the manifest and from the pattern"):
        read(write_manifest(folder, ".csv", ROWS), labels=r"(?P<speaker>\w)[.]wav")
