"""The calculator page computes and draws what Python does."""

import json
import random

import pytest
from calculator import DEFAULTS, calculator
from chromium import needs_chromium

from wavedil.receptive_field import holes, paths_per_lag, stack_dilations, table

pytestmark = needs_chromium
STACKS = {
    "three cycles of ten": {},
    "one sample": {"kernel_size": 1, "dilations": "1", "cycles": 1},
    "kernel 1": {"kernel_size": 1, "dilations": "1:8,3", "cycles": 2},
    "kernel 1, far apart": {"kernel_size": 1, "dilations": str(10**30), "cycles": 1},
    "four doublings": {"dilations": "1:8", "cycles": 1},
    "holes": {"kernel_size": 3, "dilations": "2,2,2", "cycles": 1},
    "holes of many sizes": {"dilations": "40,200,1000,300", "cycles": 1},
    "every other sample": {"dilations": "2:512"},
    "holes closed by the input": {"dilations": "2:512", "input_kernel_size": 2},
    "longest first": {"dilations": "512,256,128,64,32,16,8,4,2,1", "cycles": 1},
    "mixed form": {"dilations": " 1:8, 3,12:24 ", "cycles": 1, "sample_rate": 44100},
    "triples": {"kernel_size": 3, "dilations": "1,3,9,27,81", "cycles": 1, "sample_rate": 48000},
    "input kernel": {"kernel_size": 3, "dilations": "1:16", "cycles": 2, "input_kernel_size": 32},
    "wide kernel": {"kernel_size": 1000, "dilations": "1,7", "cycles": 1, "sample_rate": 22050},
    "counts beyond 2^53": {"kernel_size": 3, "dilations": "1:4", "cycles": 12},
    "counts beyond floats": {"kernel_size": 9, "dilations": "1", "cycles": 400},
    "longest tree": {"dilations": "1:32", "cycles": 1, "sample_rate": 1},
    "most layers": {"dilations": "1", "cycles": 1000, "sample_rate": 8000},
}


@pytest.fixture(scope="module")
def unused(tmp_path_factory):
    with calculator(tmp_path_factory.mktemp("calculator")) as page:
        yield page


@pytest.fixture
def unopened(unused):
    unused.tab.resize(1200, 800)
    yield unused
    assert unused.tab.errors == []


@pytest.fixture
def page(unopened):
    unopened.open()
    return unopened


def rows_of(stack):
    dilations = stack_dilations(stack["dilations"], stack["cycles"])
    sizes = {"input_kernel_size": stack["input_kernel_size"]}
    return dilations, sizes, table(stack["kernel_size"], dilations, **sizes)


@pytest.mark.sampled
@pytest.mark.parametrize("changes", STACKS.values(), ids=STACKS)
def test_every_number_is_pythons(unopened, changes):
    stack = {**DEFAULTS, **changes}
    dilations, sizes, rows = rows_of(stack)
    size, rate = rows[-1].receptive_field.size, stack["sample_rate"]
    unopened.open(**stack)

    shown = unopened.texts("size", "milliseconds", "seconds", "past", "num_layers")
    assert shown[:3] == [str(size), f"{1000 * size / rate:.3f}", f"{size / rate:.6f}"]
    assert [int(words.split()[0]) for words in shown[3:]] == [size - 1, len(rows)]

    cells = unopened.evaluate("[...document.querySelectorAll('tbody tr')].map(r => r.innerText)")
    assert [line.split("\t") for line in cells] == [
        [
            row.name,
            str(row.kernel_size),
            str(row.dilation),
            f"+{(row.kernel_size - 1) * row.dilation}",
            str(row.receptive_field.size),
            f"{row.receptive_field.milliseconds(rate):.3f}",
        ]
        for row in rows
    ]

    lags = holes(stack["kernel_size"], dilations, **sizes)
    (words,) = unopened.texts("holes")
    if lags:
        assert words.startswith(f"{len(lags)} hole")
        assert f"only {size - len(lags)} of the {size} samples" in words
    else:
        assert words == "No holes: every sample is seen."

    paths = paths_per_lag(stack["kernel_size"], dilations, **sizes)
    assert unopened.evaluate("result.paths.map(String)") == [str(count) for count in paths]
    for lag in {0, 1, size // 2, size - 1} & set(range(size)):
        unopened.evaluate(f"element('lag').value = {lag}; draw()")
        (words,) = unopened.texts("reading")
        assert (
            f"lag {lag}, {1000 * lag / rate:.3f} ms before the output: {paths[lag]} path" in words
        )
        assert ("a hole" in words) == (lag in lags)


def test_random_stacks_have_pythons_holes_and_paths(page):
    draw = random.Random(0)
    stacks = [
        {
            "kernel_size": draw.randint(1, 5),
            "dilations": ",".join(str(draw.randint(1, 40)) for _ in range(draw.randint(1, 6))),
            "cycles": draw.randint(1, 2),
            "input_kernel_size": draw.choice((1, 1, 2, 9)),
        }
        for _ in range(300)
    ]
    found = page.evaluate(
        f"""{json.dumps(stacks)}.map(stack => {{
          for (const name of ["kernel_size", "cycles", "input_kernel_size"])
            stack[name] = BigInt(stack[name]);
          const {{ runs, paths }} = compute(stack);
          return [holeRuns(runs), paths.map(String)];
        }})"""
    )
    for stack, (hole_runs, paths) in zip(stacks, found, strict=True):
        dilations, sizes, _ = rows_of(stack)
        lags = [lag for first, last in hole_runs for lag in range(first, last + 1)]
        assert lags == list(holes(stack["kernel_size"], dilations, **sizes))
        counts = paths_per_lag(stack["kernel_size"], dilations, **sizes)
        assert paths == [str(count) for count in counts]


def test_numbers_are_rounded_as_python_rounds_them(page):
    draw = random.Random(0)
    rates = (1, 8000, 11025, 16000, 22050, 32000, 44100, 48000, 64000, 192000)
    pairs = [(n, rate) for rate in rates for n in range(1, 200)]
    pairs += [(draw.randrange(2**30), draw.choice(rates)) for _ in range(1000)]
    numbers = [scale * n / rate for n, rate in pairs for scale in (1, 1000)]
    expected = [[f"{number:.3f}", f"{number:.6f}"] for number in numbers]
    assert page.evaluate(f"{json.dumps(numbers)}.map(n => [fixed(n, 3), fixed(n, 6)])") == expected


@pytest.mark.parametrize(
    ("dilations", "size", "num_taps"),
    [
        ("1:262144", 2**19, 2**19),
        ("1:536870912", 2**30, 2**30),
        ("3,536870000", 536870004, 4),
        ("3:12288", 1 + 3 * (2**13 - 1), 2**13),
    ],
)
def test_long_fields_are_exact_up_to_pythons_limit(unopened, dilations, size, num_taps):
    unopened.open(dilations=dilations, cycles=1)
    assert unopened.texts("size") == [str(size)]
    assert unopened.evaluate("countLags(result.runs)") == num_taps


def test_what_is_not_worked_out_is_said(unopened):
    unopened.open(dilations="1:1048576")
    assert "too many lags to count each one's here" in unopened.texts("paths")[0]
    assert unopened.texts("holes") == ["No holes: every sample is seen."]
    unopened.open(kernel_size=2**20, dilations="2", cycles=1)
    assert unopened.texts("holes") == [
        "Holes: too many pieces to count here; wavedil rf counts them."
    ]
    assert unopened.texts("size") == [str(2**21 - 1)]


def test_the_tree_has_every_path_and_marks_those_to_the_chosen_lag(page):
    def lines(name):
        drawn = page.evaluate(f"document.querySelector('#tree .{name}').getAttribute('d')")
        return drawn.count("L")

    page.enter("kernel_size", 3)
    page.enter("cycles", 1)
    page.enter("dilations", "2,2,2")
    taps = 3 * (1 + 3 + 5)  # the output, and the samples that it sees through one and two layers
    assert (lines("tap"), lines("tap.chosen")) == (taps - 3, 3)
    page.evaluate("element('lag').focus()")
    page.tab.press("ArrowRight")
    assert page.texts("reading") == ["lag 11, 0.688 ms before the output: 0 paths, a hole"]
    assert (lines("tap"), lines("tap.chosen")) == (taps, 0)
    page.tab.press("ArrowRight")
    # 10 is 4 + 4 + 2 in three orders: nine taps, two of them shared by two paths.
    assert page.texts("reading") == ["lag 10, 0.625 ms before the output: 3 paths"]
    assert lines("tap.chosen") == 7


@pytest.mark.parametrize("lag", [0, 1000, 2047, 3069])
def test_the_outline_of_a_large_stack_has_one_path_to_the_chosen_lag(page, lag):
    steps = page.evaluate(
        f"""onePath(result.rows, {lag}).map((lag, i, lags) => lag - (lags[i + 1] ?? 0))"""
    )
    *taps, at_output = steps
    assert at_output == 0 and sum(taps) == lag
    dilations = stack_dilations(DEFAULTS["dilations"], DEFAULTS["cycles"])
    assert all(tap in (0, dilation) for tap, dilation in zip(taps, dilations, strict=True))
    drawn = "document.querySelector('#tree .tap.chosen').getAttribute('d').split('L').length"
    assert page.evaluate(drawn) == len(dilations) + 1
