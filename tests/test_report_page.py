"""The page of `mnistbench report` in a real browser: opens, asks for nothing, sorts, answers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import run_here
from hand_written_runs import MACHINE, OTHER_NOISE, times, write_run

sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
pytestmark = pytest.mark.skipif(not BROWSER, reason="no Chromium here: apt-get install chromium")

OTHER = {**MACHINE, "node": "bert", "cpu_model": "Other"}
HOSTILE = "<script>window.hurt=1</script>\"'&<img src=x onerror=window.hurt=1>"
# A closed network is no fault of the page: the browser itself asks for nothing either.
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """A report on two machines, of which one has names that are pieces of HTML."""
    folder = tmp_path_factory.mktemp("report")
    metrics = {f"epoch_{n}_train_accuracy": ([0.5 + n / 20] * 10, "1") for n in range(1, 6)}
    anna = write_run(folder / "anna", {"train": times(10), "test": times(1)}, metrics=metrics)
    bert = write_run(
        folder / "bert", {"train": times(20, OTHER_NOISE), "test": times(1)}, metrics=metrics,
        machine={**OTHER, "node": HOSTILE, "cpu_model": HOSTILE}, tag=HOSTILE,
    )  # fmt: skip
    output = folder / "report.html"
    done = run_here("report", str(anna), str(bert), "-o", str(output))
    assert done.returncode == 0, done.stderr
    return output


@pytest.fixture
def page(browser, report) -> Iterator[sync_api.Page]:
    """The report, opened; at the end nothing was asked for and nothing complained."""
    context = browser.new_context(viewport=DESKTOP)
    page = context.new_page()
    requests, complaints = list[str](), list[str]()
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    opened(page, report)
    yield page
    assert [url for url in requests if not url.startswith("data:")] == [report.as_uri()]
    assert complaints == []
    context.close()


def opened(page: sync_api.Page, report: Path) -> None:
    page.goto(report.as_uri())
    page.wait_for_selector("html[data-drawn=yes]")


def column(page: sync_api.Page, caption: str, place: int) -> list[str]:
    rows = page.locator("table", has=page.locator("caption", has_text=caption)).locator("tbody tr")
    return [text.strip() for text in rows.locator(f":nth-child({place})").all_inner_texts()]


def test_every_chart_is_drawn(page):
    places = page.locator("[data-chart]")
    assert places.count() >= 3
    for place in range(places.count()):
        assert places.nth(place).locator("svg.main-svg").count() > 0
    assert page.locator("#chart-phases .bars .point").count() == 4
    assert page.locator("#chart-repeats .point").count() >= 20


def test_a_script_in_a_name_does_not_run(page):
    assert page.evaluate("window.hurt") is None
    assert page.locator("img").count() == 0
    assert HOSTILE in page.locator("h1").inner_text()
    assert f"{HOSTILE[:16]}…" in page.locator("#chart-phases").text_content()


def test_an_injected_script_is_refused_by_the_browser(browser, report, tmp_path):
    """Even if an escape were missing: the page's policy knows its own scripts only."""
    text = report.read_text().replace("</header>", "<script>window.hurt=1</script></header>")
    other = tmp_path / "other.html"
    other.write_text(text)
    page = browser.new_page()
    opened(page, other)
    assert page.evaluate("window.hurt") is None
    page.close()


def test_a_table_sorts_by_click_and_by_keyboard(page):
    button = page.locator("#repeats table thead button", has_text="Median").first
    caption = "Every repeat, train"
    assert column(page, caption, 3) == ["10.01 s", "20.01 s"] or len(column(page, caption, 3)) == 2
    before = column(page, caption, 3)
    button.click()
    button.click()
    assert column(page, caption, 3) == before[::-1]
    assert page.locator("#repeats th[aria-sort=descending]").inner_text().startswith("Median")
    button.focus()
    page.keyboard.press("Enter")
    assert column(page, caption, 3) == before


def test_a_table_filters(page):
    table = page.locator("#machines")
    rows = table.locator("tbody tr:visible")
    everything = rows.count()
    table.locator("input[type=search]").fill("cpu_model")
    assert rows.count() == 1
    assert "1 of" in table.locator("[role=status]").inner_text()
    table.locator("input[type=search]").fill("")
    assert rows.count() == everything > 8


def test_a_chart_tells_its_values(page):
    bar = page.locator("#chart-phases .bars .point path").first
    bar.scroll_into_view_if_needed()
    bar.hover(force=True)
    page.wait_for_selector("#chart-phases .hoverlayer text")
    assert "train: 9.999 s (" in page.locator("#chart-phases .hoverlayer").text_content()


@pytest.mark.parametrize(
    ("chart", "words"),
    [
        ("phases", ["train: 9.999 s (", "train: 19.998 s (", "test: ", "test: "]),
        ("repeats", ["anna: median 9.990, half of them from 9.8", "median 20.03"]),
        ("accuracy", ["1", "2"]),
    ],
)
def test_a_chart_tells_its_values_to_the_arrow_keys(page, chart, words):
    place = page.locator(f"#chart-{chart}")
    assert place.get_attribute("aria-label").endswith("the table beside it has them all")
    place.focus()
    told = page.locator(f"#told-{chart}")
    for word in words:
        before = told.text_content()
        page.keyboard.press("ArrowRight")
        page.wait_for_function(
            "([name, text]) => document.getElementById(name).textContent !== text",
            arg=[f"told-{chart}", before],
        )
        assert word in told.text_content()
    page.keyboard.press("Escape")
    assert told.text_content() == ""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_it_fits_and_follows_the_theme(browser, report, theme, size):
    page = browser.new_page(viewport=size, color_scheme=theme)
    opened(page, report)
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    ink = page.evaluate("getComputedStyle(document.querySelector('#chart-phases text')).fill")
    is_light_ink = sum(map(int, ink[4:-1].split(","))) > 3 * 128
    assert is_light_ink == (theme == "dark")
    page.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_nothing_serious_hinders_a_reader(browser, report, theme, size):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe here")
    page = browser.new_page(viewport=size, color_scheme=theme)
    # The rules are put in by the tool, as a user's own extension would be: not by the page.
    page.context.new_cdp_session(page).send("Page.setBypassCSP", {"enabled": True})
    opened(page, report)
    found = axe.Axe().run(page).response["violations"]
    serious = [each for each in found if each["impact"] in ("serious", "critical")]
    assert [(each["id"], [n["html"] for n in each["nodes"][:3]]) for each in serious] == []
    page.close()


def test_it_prints_whole(browser, report, tmp_path):
    page = browser.new_page(viewport=DESKTOP, color_scheme="dark")
    opened(page, report)
    content = page.pdf(path=str(tmp_path / "report.pdf"))
    assert content.startswith(b"%PDF")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.close()
