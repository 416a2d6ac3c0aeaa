"""The page to listen on in use: players, clicks, keys, phone."""

import pytest
from chromium import browser, needs_chromium
from listening_runs import SECONDS, listening_run, recordings

from wavedil.cli.main import main

pytestmark = needs_chromium
FIRST = "document.querySelectorAll('.picture')[0]"
# Resolves once a player plays, or with what went wrong.
PLAYS = """new Promise((resolve) => {
  const audio = players[%d], begun = Date.now();
  const look = () => audio.ended || (!audio.paused && audio.currentTime > %g) ? resolve(true)
    : Date.now() - begun > 10000 ? resolve(`${audio.paused} ${audio.currentTime} ${audio.error?.message}`)
    : setTimeout(look, 5);
  look();
})"""


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("listening")
    run = listening_run(folder / "run", recordings(folder / "recordings"), "seven.wav")
    assert main(["report", str(run)]) == 0
    with browser(folder / "profile") as tab:
        tab.resize(1200, 900)
        tab.open((folder / "run.html").as_uri())
        yield tab
        assert tab.errors == []


def click(tab, number, share, height=0.25):
    """Move to a place on a spectrogram and click there."""
    x, y = tab.evaluate(
        f"(() => {{ const p = document.querySelectorAll('.picture')[{number}]; p.scrollIntoView({{block: 'center'}});"
        f"const b = p.getBoundingClientRect(); return [b.left + {share} * b.width, b.top + {height} * b.height]; }})()"
    )
    for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
        pressed = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
        tab.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **pressed)


def test_players_load_and_a_click_says_where_it_is_and_plays_from_there(tab):
    loaded = (
        "Promise.all(players.map(a => a.readyState >= 1 ? a.duration : "
        "new Promise(r => a.addEventListener('loadedmetadata', () => r(a.duration)))))"
    )
    assert tab.evaluate(loaded) == pytest.approx([SECONDS] * 3, abs=1e-3)
    click(tab, 0, 0.5)
    assert tab.evaluate(PLAYS % (0, SECONDS / 2)) is True
    words = tab.evaluate("document.querySelector('.readout').textContent")
    seconds, hz = words.removesuffix(" Hz").split(" s, ")
    assert float(seconds) == pytest.approx(SECONDS / 2, abs=0.01)
    assert float(hz) == pytest.approx(3000, abs=60)

    click(tab, 2, 0.1)
    assert tab.evaluate(PLAYS % (2, SECONDS / 10)) is True
    assert tab.evaluate("players[0].paused")  # one plays at a time


def test_by_keyboard_tab_goes_from_sound_to_sound_arrows_seek_and_space_plays(tab):
    tab.evaluate(f"players.forEach(a => a.pause()); {FIRST}.focus()")
    tab.press("Home", "ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft")
    assert tab.evaluate("players[0].currentTime") == pytest.approx(2 * SECONDS / 20, abs=1e-3)
    left = tab.evaluate("document.querySelector('.cursor').style.left")
    assert float(left.removesuffix("%")) == pytest.approx(10, abs=0.1)
    tab.press("Tab")
    assert tab.evaluate("document.activeElement === document.querySelectorAll('.picture')[1]")
    tab.press(" ")
    assert tab.evaluate(PLAYS % (1, 0)) is True


def test_on_a_phone_there_is_one_column_and_nothing_sticks_out(tab):
    tab.resize(360, 700, phone=True)
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    lefts = "new Set([...document.querySelectorAll('.column')].map(c => c.getBoundingClientRect().left)).size"
    assert tab.evaluate(lefts) == 1
    tab.resize(1200, 900)
    assert tab.evaluate(lefts) == 2
