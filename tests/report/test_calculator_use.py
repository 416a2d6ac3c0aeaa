"""The calculator page in use: messages, address, keyboard, phone, colours."""

import re

import pytest
from calculator import DEFAULTS, calculator
from chromium import needs_chromium

from wavedil import UserError
from wavedil.receptive_field import stack_dilations

pytestmark = needs_chromium
BAD_DILATIONS = ["", " ", "0", "-1", "1,", "1:", ":8", "1:7", "3:3:3", "1:8,x", "1 2", "2.0", "4:1"]


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


@pytest.mark.sampled
@pytest.mark.parametrize("text", BAD_DILATIONS)
def test_dilations_are_refused_in_pythons_words(page, text):
    with pytest.raises(UserError) as refused:
        stack_dilations(text, cycles=1)
    page.enter("dilations", "1:8")
    page.enter("dilations", text) if text else page.evaluate(
        "element('dilations').value = ''; update()"
    )
    assert page.message("dilations") == str(refused.value)


@pytest.mark.sampled
@pytest.mark.parametrize("field", ["kernel_size", "cycles", "input_kernel_size", "sample_rate"])
@pytest.mark.parametrize("value", ["0", "-3", "1.5", "1e"])
def test_a_bad_number_has_a_message_and_keeps_the_last_good_result(page, field, value):
    before = page.texts("size", "stack")
    page.enter(field, value)
    assert "must be a whole number of at least 1" in page.message(field)
    assert page.texts("size", "stack") == before
    assert "last good result, for kernel size 2, dilations 1:512, 3 times" in page.texts("stale")[0]
    assert page.is_stale()

    page.enter(field, 2)
    assert page.message(field) == ""
    assert page.texts("stale") == [""]
    assert not page.is_stale()


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("kernel_size", 10**9, "is longer than the 1073741824 that are worked out exactly"),
        ("dilations", f"1:{2**40}", "is longer than the 1073741824 that are worked out exactly"),
        ("cycles", 10**9, "a stack of 10000000000 layers is more than the 1000"),
    ],
)
def test_a_stack_too_large_is_refused_at_the_field_that_made_it_so(page, field, value, words):
    page.enter(field, value)
    assert words in page.message(field)
    assert page.texts("size") == ["3070"]


def test_the_address_holds_the_stack(page):
    page.enter("kernel_size", 3)
    page.enter("dilations", "1:4, 9")
    page.enter("sample_rate", 44100)
    link = page.evaluate("location.href")
    state = "kernel_size=3&dilations=1:4,9&cycles=3&input_kernel_size=1&sample_rate=44100"
    assert link.endswith(f"#{state}")
    shown = page.texts("result")

    page.enter("cycles", "0")
    assert page.evaluate("location.href") == link
    page.tab.open(link)
    assert page.texts("result") == shown


def test_an_address_that_cannot_be_used_shows_the_written_stack_as_stale(unopened):
    unopened.tab.open(f"{unopened.file.as_uri()}#kernel_size=0&dilations=1:7&unknown=<b>")
    assert unopened.message("kernel_size").startswith("kernel size is 0")
    assert unopened.message("dilations").startswith("dilations '1:7' double from 1")
    assert unopened.texts("size") == ["3070"]
    assert unopened.is_stale()


def test_the_keyboard_reaches_everything_in_order(page):
    reached = []
    for _ in range(10):
        page.tab.press("Tab")
        reached.append(
            page.evaluate("(e => e.id || e.innerText || e.className)(document.activeElement)")
        )
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert page.evaluate(outline) == "solid", f"no focus style at {reached[-1]}"
    assert reached[:5] == ["kernel_size", "cycles", "dilations", "input_kernel_size", "sample_rate"]
    assert reached[5:9] == ["four doublings", "three cycles of ten", "one with holes", "lag"]
    assert reached[9].startswith("layer")


def test_arrow_keys_step_numbers_and_lags(page):
    page.tab.press("Tab")
    page.tab.press("ArrowUp", "ArrowUp", "ArrowDown")
    assert page.texts("size", "stack") == ["6139", "kernel size 3, dilations 1:512, 3 times"]
    page.evaluate("element('lag').focus()")
    assert "lag 6138," in page.texts("reading")[0]
    page.tab.press("ArrowRight", "ArrowRight", "ArrowRight")  # to the right is towards the output
    assert "lag 6135," in page.texts("reading")[0]
    page.tab.press("ArrowLeft")
    assert "lag 6136," in page.texts("reading")[0]
    spoken = page.evaluate("element('lag').getAttribute('aria-valuetext')")
    assert spoken == page.texts("reading")[0]


def test_every_control_is_named_and_described_and_results_are_announced(page):
    tree = page.tab.call("Accessibility.getFullAXTree")["nodes"]
    roles = [node["role"]["value"] for node in tree]
    named = {(node["role"]["value"], node["name"]["value"]) for node in tree if node.get("name")}
    for label in ("Kernel size", "Cycles", "Input kernel size", "Sample rate (Hz)"):
        assert ("spinbutton", label) in named
    assert ("textbox", "Dilations") in named
    assert ("slider", "Lag, samples before the output") in named
    assert ("region", "Layers") in named
    assert roles.count("status") == 1  # and a second while the result is stale
    for field in DEFAULTS:
        described = page.evaluate(f"element({field!r}).getAttribute('aria-describedby')")
        assert described == f"{field}_hint {field}_message"
        assert page.evaluate(f"element('{field}_message').getAttribute('aria-live')") == "polite"


@pytest.mark.sampled
@pytest.mark.parametrize("width", [320, 360, 1200])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"kernel_size": 9, "cycles": 400, "dilations": "1"},
        {"cycles": 1, "dilations": ",".join(["1"] * 300)},
        {"cycles": 1, "dilations": "1:268435456"},
        {"kernel_size": 1, "cycles": 1, "dilations": str(10**60)},
        {"kernel_size": 0, "dilations": "x" * 300},
    ],
    ids=["usual", "long counts", "long list", "long field", "long number", "long message"],
)
def test_the_page_never_scrolls_sideways(unopened, width, changes):
    unopened.tab.resize(width, 740, phone=True)
    unopened.open(**changes)
    assert unopened.evaluate("document.documentElement.scrollWidth") == width
    assert unopened.evaluate("innerWidth") == width


def test_pictures_follow_the_width_of_the_window(page):
    def widths():
        return page.evaluate("[...document.querySelectorAll('svg')].map(s => s.clientWidth)")

    page.tab.resize(1200, 800)
    wide = widths()
    page.tab.resize(360, 740)
    page.evaluate("new Promise(requestAnimationFrame)")
    assert len(wide) == 2
    assert max(widths()) < 360 < min(wide)


def contrast(first, second):
    """WCAG 2's ratio of two CSS colours: rgb(r, g, b)."""

    def luminance(colour):
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_in_light_and_dark(page, scheme):
    page.tab.colours(scheme)
    colours = page.evaluate(
        """["body", ".hint", ".message", "#reading", "a", "#size"].map(
             name => getComputedStyle(document.querySelector(name)).color)"""
    )
    paper, panel = page.evaluate(
        """["body", "section"].map(
             name => getComputedStyle(document.querySelector(name)).backgroundColor)"""
    )
    assert (contrast(paper, "rgb(0, 0, 0)") > 10) == (scheme == "light")
    assert min(contrast(ink, panel) for ink in colours) >= 4.5
    assert contrast(colours[0], paper) >= 4.5
