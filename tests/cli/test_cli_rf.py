"""`wavedil rf`: what it prints, writes and refuses, and that it starts without JAX."""

import json
import subprocess
import sys

import pytest
from rf_command import CONFIG, mistake, printed, values

from wavedil.receptive_field import design


@pytest.fixture
def config_file(tmp_path):
    file = tmp_path / "wavenet.json"
    file.write_text(json.dumps(CONFIG.to_dict()))
    return file


# A stack by options


def test_three_cycles_of_ten_doublings_see_3070_samples(capsys):
    lines = printed(capsys, "--kernel-size", 2, "--dilations", "1:512", "--cycles", 3).splitlines()
    assert lines[0] == "receptive field: 3070 samples, 191.875 ms at 16000 Hz"
    assert lines[1] == "an output sees 3069 samples before its own and 0 after it"
    assert lines[2] == "30 layers, kernel size 2, dilations 1:512, 3 times"
    assert lines[3] == "paths to each sample: 1 to 786432, evenness 0.606"
    assert lines[5].split("  ")[0] == "layer"
    assert lines[6].split() == ["1", "2", "1", "+1", "2", "0.125"]
    assert lines[-1].split() == ["30", "2", "512", "+512", "3070", "191.875"]
    assert len(lines) == 6 + 30
    assert len({len(line) for line in lines[5:]}) == 1


def test_an_input_convolution_is_a_layer_of_its_own(capsys):
    lines = printed(capsys, "--cycles", 3, "--input-kernel-size", 2).splitlines()
    assert lines[0].startswith("receptive field: 3071 samples")
    assert lines[2].startswith("31 layers")
    assert lines[6].split() == ["input", "2", "1", "+1", "2", "0.125"]


def test_holes_are_reported_with_a_remedy(capsys):
    text = printed(capsys, "--kernel-size", 3, "--dilations", "2,2,2")
    assert "holes: only 7 of the 13 samples are seen; begin the dilations with 1" in text
    assert "grow at most 3-fold" in text
    assert "holes" not in printed(capsys, "--kernel-size", 3, "--dilations", "1,3,9")


def test_json_is_one_object_with_the_same_numbers(capsys):
    answer = values(capsys, "--kernel-size", 3, "--dilations", "2,2", "--sample-rate", 8000)
    layers = answer.pop("layers")
    assert answer == {
        "size": 9,
        "past": 8,
        "future": 0,
        "num_taps": 5,
        "stride": "1",
        "milliseconds": 1.125,
        "sample_rate": 8000,
        "kernel_size": 3,
        "dilations": [2, 2],
        "cycles": 1,
        "input_kernel_size": 1,
        "num_holes": 4,
        "holes": [1, 3, 5, 7],
        "evenness": 81 / (9 * 19),
    }
    assert [layer["size"] for layer in layers] == [5, 9]
    assert layers[-1] == {
        "name": "2",
        "kernel_size": 3,
        "dilation": 2,
        "size": 9,
        "milliseconds": 1.125,
    }


def test_very_long_fields_are_answered_without_counting_their_paths(capsys):
    answer = values(capsys, "--dilations", "1,1000000")
    assert (answer["size"], answer["num_holes"]) == (1_000_002, 999_998)
    assert (answer["holes"], answer["evenness"]) == (None, None)
    assert "paths" not in printed(capsys, "--dilations", "1,1000000")


def test_the_tree_follows_the_table_and_fits_the_terminal(capsys, monkeypatch):
    text = printed(capsys, "--dilations", "1,2,4", "--tree")
    assert text.count("●") == 1 + 2 + 4 + 8
    monkeypatch.setenv("COLUMNS", "24")
    tree = printed(capsys, "--dilations", "1,2,4", "--tree").split("\n\n")[-1]
    assert max(map(len, tree.splitlines())) <= 24
    monkeypatch.setenv("COLUMNS", "20")
    refused = mistake(capsys, "--dilations", "1,2,4", "--tree")
    assert "8 samples needs 21 columns, but there are 20; widen the terminal, or draw" in refused


def test_the_tree_is_plain_where_the_terminal_knows_no_more():
    command = [sys.executable, "-m", "wavedil.cli.main", "rf", "--dilations", "1,2", "--tree"]
    done = subprocess.run(
        command, capture_output=True, env={"PYTHONIOENCODING": "ascii"}, check=True
    )
    assert done.stdout.decode("ascii").count("o   o   o   o") == 1


# A target


def test_a_target_lists_the_best_stacks_with_what_they_cost(capsys):
    lines = printed(capsys, "--target", "300ms", "--sample-rate", 16000).splitlines()
    found = design(milliseconds=300, sample_rate=16000)
    assert lines[0] == (
        f"at least 4800 samples, 300 ms at 16000 Hz: {len(found)} stacks reach it, the cheapest first"
    )
    assert lines[4].split() == [
        "1", "6", "1", "5", "7776", "486.0", "349,376", "348,160", "1,944", "KiB", "0", "1.00", "1,6,36,216,1296",
    ]  # fmt: skip
    assert len(lines) == 4 + 10 + 1
    assert lines[-1] == f"{len(found) - 10} more; --json lists all"


@pytest.mark.parametrize(
    "target", ["300ms", "300 ms", "0.3s", "0.3 S", ".3s", "4800", "4800samples"]
)
def test_a_target_can_be_said_in_several_ways(capsys, target):
    answer = values(capsys, "--target", target)
    assert (answer["target_samples"], answer["target_milliseconds"]) == (4800, 300.0)


def test_designs_as_json_are_those_of_python(capsys):
    limits = {"max_layers": 30, "max_parameters": 10**6, "residual_channels": 8, "skip_channels": 9}
    options = [f"--{name.replace('_', '-')}={value}" for name, value in limits.items()]
    answer = values(capsys, "--target", 1000, "--input-kernel-size", 2, *options)
    expected = design(samples=1000, input_kernel_size=2, **limits)
    assert len(answer["designs"]) == len(expected)
    assert (answer["residual_channels"], answer["skip_channels"]) == (8, 9)
    for got, stack in zip(answer["designs"], expected, strict=True):
        assert got == {
            "kernel_size": stack.kernel_size,
            "dilations": list(stack.dilations),
            "cycles": stack.cycles,
            "input_kernel_size": 2,
            "size": stack.size,
            "milliseconds": stack.size / 16,
            "num_layers": stack.num_layers,
            "parameters": stack.parameters,
            "multiply_adds": stack.multiply_adds,
            "state_bytes": stack.state_bytes,
            "num_holes": 0,
            "evenness": float(stack.evenness),
        }


def test_what_is_given_with_a_target_is_kept(capsys):
    options = ["--kernel-size", 3, "--dilations", "1,2,6", "--cycles", 4]
    designs = values(capsys, "--target", "60", *options)["designs"]
    assert [(found["dilations"], found["cycles"]) for found in designs] == [([1, 2, 6], 4)]


# A configuration


def test_a_configuration_is_a_stack(capsys, config_file):
    sizes = ["--kernel-size=3", "--dilations=1:8", "--cycles=2", "--input-kernel-size=2"]
    expected = values(capsys, *sizes, "--sample-rate=8000")
    assert values(capsys, "--config", config_file) == expected
    saved = {"format": "wavedil", "format_version": 1, "config": CONFIG.to_dict()}
    run = {"corpus": {}, "training": {}, "model": CONFIG.to_dict()}
    for written in (saved, run):
        config_file.write_text(json.dumps(written))
        assert values(capsys, "--config", config_file) == expected


# Files


@pytest.mark.parametrize("source", ["options", "target", "config"])
def test_pictures_and_pages_show_the_stack_that_was_asked_for(
    capsys, tmp_path, config_file, source
):
    asked, stack = {
        "options": (["--dilations", "1,2"], "kernel size 2, dilations 1,2"),
        "target": (["--target", 9], "kernel size 3, dilations 1,3"),
        "config": (["--config", config_file], "kernel size 3, dilations 1:8, 2 times, input kernel size 2"),
    }[source]  # fmt: skip
    picture, page = tmp_path / "a.svg", tmp_path / "a.html"
    out = printed(capsys, *asked, "--picture", picture, "--page", page).splitlines()
    assert out[-2:] == [f"{picture}: picture of {stack}", f"{page}: calculator that opens with {stack}"]  # fmt: skip
    assert picture.read_text().startswith("<?xml")
    assert "<html" in page.read_text()


@pytest.mark.parametrize("suffix", [".png", ".PDF", ".svg"])
def test_json_stays_json_while_a_picture_is_written(capsys, tmp_path, suffix):
    picture = tmp_path / f"a{suffix}"
    assert values(capsys, "--dilations", "1,2", "--picture", picture)["size"] == 4
    assert picture.stat().st_size > 1000


@pytest.mark.parametrize("name", ["picture.svg", "page.html"])
def test_files_that_exist_are_left_alone_unless_asked(capsys, tmp_path, name):
    file = tmp_path / name
    option = f"--{file.stem}"
    file.write_text("mine")
    line = mistake(capsys, "--dilations", "1,2", option, file)
    assert line == f"{file} exists; give another name, or --overwrite\n"
    assert file.read_text() == "mine"
    printed(capsys, "--dilations", "1,2", option, file, "--overwrite")
    assert len(file.read_text()) > 1000


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--kernel-size=0"], "kernel size is 0, but it must be a whole number of at least 1"),
        (["--kernel-size=2.5"], "--kernel-size is '2.5', but it must be a whole number"),
        (["--kernel-size=None"], "--kernel-size is 'None', but it must be a whole number"),
        (["--dilations=0,1"], "dilation is 0"),
        (["--dilations=one"], "write 1:512 for 1, 2, 4"),
        (["--cycles=0"], "number of cycles is 0"),
        (["--input-kernel-size=-1"], "input kernel size is -1"),
        (["--sample-rate=0"], "sample rate is 0 Hz"),
        (["--dilations=1,1000000000000"], "longer than the 1073741824 that are worked out"),
        (["--tree"], "the tree of a receptive field of 1024 samples needs 1037 columns"),
        (["--tree", "--json"], "--tree and --json do not go together"),
        (["--max-layers=3"], "--max-layers is for --target; leave it out"),
        (["--skip-channels=3"], "--skip-channels is for --target"),
        (["--target=300ms", "--model=run"], "--target and --model do not go together"),
        (["--model=run", "--config=a.json"], "--model and --config do not go together"),
        (["--model=run", "--cycles=2"], "--cycles is what --model says; leave it out"),
        (["--config=a.json", "--sample-rate=1"], "--sample-rate is what --config says"),
        (["--model=run", "--max-parameters=5"], "--max-parameters is for --target"),
        (["--model=absent"], "absent holds no model"),
        (["--config=absent.json"], "absent.json cannot be read (No such file or directory)"),
        (["--target=300min"], "has the unknown unit 'min'; write 300ms, 0.3s, or a number of"),
        (["--target=-300ms"], "target is -300.0 ms, but it must be above 0"),
        (["--target=0"], "target in samples is 0, but it must be a whole number of at least 1"),
        (["--target=4.5"], "target '4.5' is no whole number of samples"),
        (["--target="], "target '' is no length of time; write 300ms"),
        (["--target=1/0"], "target '1/0' is no length of time"),
        (["--target=long"], "target 'long' is no length of time"),
        (["--target=300ms", "--sample-rate=0"], "sample rate is 0 Hz"),
        (["--target=300ms", "--dilations=0"], "dilation is 0"),
        (["--target=300ms", "--max-layers=3"], "the nearest reaches 512 samples (32 ms), with"),
        (["--picture=a.gif"], "cannot write a.gif: its suffix must be .svg, .png or .pdf"),
        (["--page=a.svg"], "cannot write a.svg: its suffix must be .html or .htm"),
        (["--picture=absent/a.svg"], "absent is no folder, so a.svg cannot be written there"),
        (["--page=absent/a.html"], "absent is no folder, so a.html cannot be written there"),
        (["--dilations=1,10000000", "--picture=a.svg"], "too many paths to count"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_and_leaves_no_file(
    capsys, tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    assert message in mistake(capsys, *arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--picture=/proc/a.svg", "--page=/proc/a.html"])
def test_a_folder_that_takes_no_files_is_named_before_anything_is_printed(capsys, option):
    assert "cannot be written" in mistake(capsys, "--dilations", "1,2", option)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "truncated or not JSON"),
        ("[]", "holds no JSON object"),
        ('{"config": 3}', "WaveNetConfig is 3, but it must be"),
        ('{"cycels": 3}', "no setting 'cycels'; did you mean 'cycles'?"),
        ('{"dilations": [0]}', "dilation is 0"),
        ('{"dilations": []}', "dilations is empty"),
    ],
)
def test_a_configuration_that_is_none_is_named(capsys, config_file, text, message):
    config_file.write_text(text)
    assert message in mistake(capsys, "--config", config_file)


# How it starts


@pytest.mark.parametrize(
    "arguments",
    [[], ["--target", "300ms"], ["--target", "300ms", "--json"], ["--dilations", "1,2", "--tree"], ["--config"]],
    ids=" ".join,
)  # fmt: skip
def test_only_models_and_pictures_load_numeric_libraries(config_file, arguments):
    heavy = "{'jax', 'flax', 'matplotlib'}"
    if arguments == ["--config"]:
        arguments = ["--config", str(config_file)]
    else:
        heavy = "{'jax', 'flax', 'matplotlib', 'numpy'}"
    code = (
        "import sys\nfrom wavedil.cli.main import main\n"
        f"assert main({['rf', *arguments]}) == 0\nassert not {heavy} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


# Sizes beyond what anybody has


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--kernel-size", 99999999999999, "--dilations", "1"), "99999999999999 samples"),
        (("--kernel-size", 3000000), "3068998978 samples is longer than"),
        (("--kernel-size", 300000000, "--tree"), "306899998978 samples is longer than"),
        (("--cycles", 1000000), "10000000 layers, more than the 10000"),
        (("--cycles", 1000000000000), "10000000000000 layers"),
        (("--dilations", "\uff11:\uff14"), "no whole number"),
    ],
)
def test_sizes_beyond_all_bounds_are_refused_at_once(capsys, arguments, words):
    assert words in mistake(capsys, *arguments)


def test_a_large_kernel_is_answered(capsys):
    assert values(capsys, "--kernel-size", 3_000_000, "--dilations", "1")["size"] == 3_000_000


def test_one_sample_is_one_sample(capsys):
    assert "receptive field: 1 sample," in printed(capsys, "--kernel-size", 1)


def test_a_config_without_settings_is_refused(capsys, tmp_path):
    file = tmp_path / "empty.json"
    file.write_text("{}")
    assert "holds no settings" in mistake(capsys, "--config", file)
