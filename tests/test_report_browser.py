"""report.html in a real browser: it reads, filters and folds as it should, silently and without a network."""

from __future__ import annotations

import json
import shutil

import pytest

from auto_lora._runs import read_json, read_jsonl, write_jsonl
from auto_lora.handover import percent
from auto_lora.report import write_report
from tests.finished_run import HOSTILE, write_run

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed: make install")

CASES = 500
BROWSERS, DRIVERS = (
    ("chromium", "chromium-browser", "google-chrome"),
    ("chromedriver", "chromium.chromedriver"),
)
FLAGS = """--headless=new --no-sandbox --disable-gpu --disable-quic --disable-dev-shm-usage --no-first-run
--disable-background-networking --disable-component-update --disable-sync""".split()


def on_path(names, what):
    found = next(filter(None, map(shutil.which, names)), None)
    return found or pytest.skip(
        f"no {what} on PATH ({', '.join(names)}); Debian: apt install chromium-driver"
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory, demo_tools):
    """`report.html` of a made run with 500 test cases."""
    folder = tmp_path_factory.mktemp("run")
    write_run(folder, demo_tools, examples=10)
    path = folder / "final_adapter" / "cases.jsonl"
    rows = list(read_jsonl(path))
    write_jsonl(path, [rows[i % len(rows)] | {"id": f"test-{i}"} for i in range(CASES)])
    return write_report(folder)


@pytest.fixture(scope="module")
def browser(report, tmp_path_factory):
    """Chromium with the report open from its file, as a phone in the dark sees it; it logs all that it does."""
    options = webdriver.ChromeOptions()
    options.binary_location = on_path(BROWSERS, "Chromium")
    driver = on_path(DRIVERS, "Chromium driver")
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        dark = {"name": "prefers-color-scheme", "value": "dark"}
        phone = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [dark]})
        opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
        opened.get(report.as_uri())
        yield opened
    finally:
        opened.quit()


def find(browser, css):
    return browser.find_element("css selector", css)


@pytest.fixture
def choose(browser):
    """Sets filters, and returns how many cases the page says and how many it shows."""

    def set_filters(**values):
        for name, value in values.items():
            browser.execute_script(
                "const field = document.querySelector(`.filters [name=${arguments[0]}]`);"
                "field.value = arguments[1]; field.dispatchEvent(new Event('input', {bubbles: true}))",
                name,
                value,
            )
        said = find(browser, ".filters output").text
        shown = browser.execute_script(
            "return [...document.querySelectorAll('.case')].filter(c => c.checkVisibility()).length"
        )
        assert said == f"{shown} of {CASES} cases"
        return shown

    yield set_filters
    set_filters(category="", tools="", base="", adapter="", text="")


def test_it_is_small_and_silent_and_asks_no_network(report, browser):
    assert report.stat().st_size < 3_000_000
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requests = [e["params"] for e in events if e["method"] == "Network.requestWillBeSent"]
    own = {
        r["request"]["url"] for r in requests if r["documentURL"] == report.as_uri()
    }  # not the empty tab's
    assert own - {"data:,"} == {report.as_uri()}
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0


def test_the_headline_and_a_figure_say_what_metrics_json_says(report, browser):
    metrics = read_json(report.parent / "metrics.json")
    for model in ("base", "adapter"):
        part = metrics[model]["overall"]["exact"]
        assert find(browser, f"#{model}-exact").text == f"{part['count']}/{part['of']}"
    single = [metrics[model]["by_category"]["single"]["exact"] for model in ("base", "adapter")]
    drawn = find(browser, "#categories .row svg")
    for part, class_name in zip(single, ("base", "adapter"), strict=True):
        assert percent(part) in drawn.get_attribute("aria-label")
        box, point = drawn.rect, drawn.find_element("css selector", f"circle.{class_name}").rect
        share = (point["x"] + point["width"] / 2 - box["x"]) / box["width"]
        assert share == pytest.approx(part["share"], abs=0.01)
    table = find(browser, "#categories details table")
    assert not table.is_displayed()
    find(browser, "#categories summary").click()
    row = table.find_element("css selector", "tbody tr").text.split()
    assert table.is_displayed() and row[:3] == ["single", str(single[0]["count"]), str(single[0]["of"])]


def test_cases_are_filtered_and_opened(report, browser, choose):
    rows = list(read_jsonl(report.parent / "cases.jsonl"))
    assert choose() == CASES
    assert choose(category="no_call") == sum(r["category"] == "no_call" for r in rows)
    gained = sum(r["adapter"]["exact"] and not r["base"]["exact"] for r in rows)
    assert choose(category="", base="wrong", adapter="right") == gained > 0
    truncated = [r for r in rows if any(f["kind"] == "invalid_json" for f in r["adapter"]["faults"])]
    assert choose(base="", adapter="invalid_json") == len(truncated) > 0
    assert choose(adapter="", text="GONE')</SCRIPT>") == sum(r["prompt"] == HOSTILE for r in rows) > 0
    case = browser.execute_script("return [...document.querySelectorAll('.case')].find(c => !c.hidden)")
    assert case.find_element("css selector", ".prompt").text == HOSTILE
    case.find_element("css selector", "summary").click()
    assert "expected" in case.find_element("css selector", ".answers").text
    assert choose(text="no such words anywhere") == 0
    assert browser.get_log("browser") == []


def test_it_fits_a_phone_and_is_dark(browser):
    browser.execute_script("for (const folded of document.querySelectorAll('details')) folded.open = true")
    width = browser.execute_script("return [innerWidth, document.documentElement.scrollWidth]")
    assert width == [390, 390]
    back, fore = browser.execute_script(
        "const style = getComputedStyle(document.body); return [style.backgroundColor, style.color]"
    )
    assert back == "rgb(20, 23, 28)" and fore == "rgb(228, 232, 238)"
