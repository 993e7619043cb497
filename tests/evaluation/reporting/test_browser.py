"""The page in headless Chromium, opened from the disk."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluation.reporting.conftest import HOSTILE
from evaluation.reporting.sample_run import LOSSLESS, drawn, make_run

from neuralcodec.evaluation.reporting import Reconstruction, write_comparison
from neuralcodec.evaluation.reporting import report as make_report

pytest.importorskip("selenium", reason="selenium is not installed")
from selenium import webdriver
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not installed"),
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--force-device-scale-factor=1",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def report(measured: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    curve = {"bpp": [1.0, 2.0, 4.0], "psnr-rgb": [30.0, 33.0, 36.0], "ms-ssim-rgb": [0.9, 0.95, 0.97]}
    folder = Path(shutil.copytree(measured, tmp_path_factory.mktemp("browser") / "run"))
    record = {"name": "Theirs", "meta": {"published": "a paper"}, "results": curve}
    (folder / "theirs.json").write_text(json.dumps(record))
    return make_report(folder)


class Window:
    """A page in a window of a size, with a theme of the system."""

    def __init__(self, driver: webdriver.Chrome, page: Path, width: int = 1280, theme: str = "light") -> None:
        self.driver = driver
        driver.get_log("browser")
        driver.get_log("performance")
        feature = {"name": "prefers-color-scheme", "value": theme}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        driver.get(page.as_uri())
        if "comparison" not in page.name:
            self.until("document.documentElement.dataset.ready")

    def js(self, expression: str, *arguments: Any) -> Any:
        return self.driver.execute_script(f"return {expression}", *arguments)

    def until(self, expression: str, *arguments: Any) -> Any:
        return WebDriverWait(self.driver, 20, 0.05).until(lambda _: self.js(expression, *arguments))

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def click(self, selector: str) -> None:
        element = self.one(selector)
        self.js("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        element.click()

    def go_to(self, selector: str, drawn: str) -> None:
        """Scroll to a part, and wait until something in it is drawn."""
        self.js("document.querySelector(arguments[0]).scrollIntoView({behavior: 'instant'})", selector)
        self.until("document.querySelector(arguments[0]) !== null", drawn)

    def see_everything(self) -> None:
        """Scroll through the page, so that all its parts are drawn."""
        for top in range(0, int(self.js("document.documentElement.scrollHeight")) + 3000, 600):
            self.js("window.scrollTo({top: arguments[0], behavior: 'instant'})", top)
            time.sleep(0.06)

    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Where the page wanted to load something from, beside itself."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in sent if not url.startswith(("data:", "file:", "blob:"))]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_part_is_drawn_without_complaint_network_or_overflow(
    chromium: webdriver.Chrome, report: Path, width: int, theme: str
) -> None:
    window = Window(chromium, report, width, theme)
    assert window.js("document.documentElement.dataset.theme") == theme
    window.see_everything()
    window.until("document.querySelectorAll('.stage img').length === 2")
    assert window.complaints() == []
    assert window.requests() == []
    assert (
        window.js("performance.getEntriesByType('resource').filter(e => !e.name.startsWith('data:')).length")
        == 0
    )
    assert window.js("document.documentElement.scrollWidth <= window.innerWidth")
    plots = window.js("[...document.querySelectorAll('.plot')].map(plot => plot.data?.length ?? 0)")
    assert len(plots) == 9  # a large one, two other metrics, three of cost, three of the lossless codecs
    assert all(plots)
    assert window.js("document.querySelectorAll('.tile svg polyline').length") == 8 * 5
    hidden = window.js(
        "[...document.querySelectorAll('section')].filter(part => part.hidden).map(part => part.id)"
    )
    assert hidden == []


def test_hostile_names_are_shown_as_they_are(chromium: webdriver.Chrome, report: Path) -> None:
    window = Window(chromium, report)
    names = window.js("[...document.querySelectorAll('#rd-image option')].map(option => option.textContent)")
    assert HOSTILE in names
    assert "Learned <b>" in window.js("document.getElementById('legend').textContent")
    traces = window.js("document.getElementById('rd-plot').data.map(trace => trace.name)")
    assert "Learned &lt;b&gt;" in traces


def test_the_legend_toggles_a_curve_in_all_plots(chromium: webdriver.Chrome, report: Path) -> None:
    window = Window(chromium, report)
    window.go_to("#rd-more", "#rd-more .plot .scatter")
    chip = window.one(".chip[data-codec='1']")
    assert chip.text == "JPEG 4:2:0"
    shown = (
        "[...document.querySelectorAll('#rd .plot')].filter(plot => plot.data)"
        ".map(plot => plot.data.find(trace => trace.meta === 1).visible)"
    )
    assert set(window.js(shown)) == {True}
    lines = "document.querySelectorAll('#rd-plot .scatterlayer .trace').length"
    before = window.js(lines)
    chip.click()
    assert chip.get_attribute("aria-pressed") == "false"
    window.until(f"{lines} === {before - 1}")
    assert set(window.js(shown)) == {False}
    chip.send_keys(Keys.SPACE)
    window.until(f"{lines} === {before}")


def test_published_curves_are_dashed_and_in_a_group_of_their_own(
    chromium: webdriver.Chrome, report: Path
) -> None:
    window = Window(chromium, report)
    dashes = window.js(
        "Object.fromEntries(document.getElementById('rd-plot').data.map(t => [t.name, t.line.dash]))"
    )
    assert dashes.pop("Theirs") != "solid"
    assert set(dashes.values()) == {"solid"}
    assert window.one("#published").get_attribute("aria-expanded") == "false"
    window.click("#published")
    assert window.one("#published").get_attribute("aria-expanded") == "true"
    assert [chip.text for chip in window.all("#legend-published .chip")] == ["Theirs"]
    assert window.js("document.querySelectorAll('#bd-published-table tbody tr').length") == 1
    assert "Theirs" not in window.js("document.getElementById('bd-table').textContent")
    text = window.js("document.getElementById('rd-plot').data.find(t => t.name === 'Theirs').hovertext[0]")
    assert text.startswith("<b>Theirs</b> (published)")


def test_hovering_tells_codec_quality_and_images(chromium: webdriver.Chrome, report: Path) -> None:
    window = Window(chromium, report)
    text = window.js(
        "document.getElementById('rd-plot').data.find(t => t.name === 'JPEG 4:2:0').hovertext[0]"
    )
    assert text.startswith("<b>JPEG 4:2:0</b><br>quality 15, mean of 7 images<br>")
    point = window.all("#rd-plot .scatterlayer .trace .point")[0]
    ActionChains(chromium).move_to_element(point).perform()
    window.until("document.querySelector('#rd-plot .hoverlayer .hovertext') !== null")


def test_an_image_is_chosen_by_its_tile_and_by_the_list(chromium: webdriver.Chrome, report: Path) -> None:
    window = Window(chromium, report)
    window.go_to("#each", ".tile polyline")
    window.click(".tile:nth-child(3)")
    assert window.one(".tile:nth-child(3)").get_attribute("aria-pressed") == "true"
    assert window.js("document.getElementById('rd-image').value") == "2"
    assert window.one("#rd-caption").text.startswith("drawn 3 alone")
    xs = window.js("document.getElementById('rd-plot').data.find(t => t.name === 'JPEG 4:2:0').x")
    expected = [
        row
        for row in json.loads((report.parent / "jpeg.json").read_text())["rows"]
        if row["image"] == "drawn 3"
    ]
    assert xs == pytest.approx(sorted(row["bpp"] for row in expected), rel=1e-5)
    window.js(
        "(e => { e.value = ''; e.dispatchEvent(new Event('change')); })(document.getElementById('rd-image'))"
    )
    assert window.one("#rd-caption").text.startswith("Means over 7 images")


def test_another_metric_can_be_chosen_with_the_keyboard(chromium: webdriver.Chrome, report: Path) -> None:
    window = Window(chromium, report)
    window.one("#rd-metric [aria-checked='true']").send_keys(Keys.ARROW_RIGHT)
    assert window.one("#rd-metric [aria-checked='true']").get_attribute("data-value") == "ms-ssim-rgb-db"
    assert window.js("document.getElementById('rd-plot').layout.yaxis.title.text") == "MS-SSIM (dB)"


def test_the_anchor_can_be_changed(chromium: webdriver.Chrome, report: Path) -> None:
    window = Window(chromium, report)
    cells = "[...document.querySelectorAll('#bd-table tbody tr')].map(row => row.cells[0].textContent.trim())"
    assert "JPEG 4:2:0" not in window.js(cells)
    change = "(e => { e.value = '0'; e.dispatchEvent(new Event('change')); })(document.getElementById('bd-anchor'))"
    window.js(change)
    assert "JPEG 4:2:0" in window.js(cells)
    assert "AVIF" not in window.js(cells)


def test_sorting_sorts(chromium: webdriver.Chrome, report: Path) -> None:
    window = Window(chromium, report)
    window.go_to("#rows", "#rows-table tbody tr")
    heads = window.js("[...document.querySelectorAll('#rows-table thead th')].map(head => head.textContent)")
    column = heads.index("bpp")
    values = (
        f"[...document.querySelectorAll('#rows-table tbody tr')].map(row => row.cells[{column}].textContent)"
    )
    button = f"#rows-table th:nth-child({column + 1}) button"
    window.click(button)
    rising = [float(value) for value in window.js(values)]
    assert rising == sorted(rising)
    assert window.one(f"#rows-table th:nth-child({column + 1})").get_attribute("aria-sort") == "ascending"
    window.click(button)
    falling = [float(value) for value in window.js(values)]
    assert falling == sorted(falling, reverse=True)
    assert falling[0] > rising[0]
    assert window.one(f"#rows-table th:nth-child({column + 1})").get_attribute("aria-sort") == "descending"


def test_rows_are_filtered_and_failures_shown(chromium: webdriver.Chrome, report: Path) -> None:
    window = Window(chromium, report)
    window.go_to("#rows", "#rows-table tbody tr")
    assert len(window.all("#rows-table tbody tr")) == 50
    window.click("#rows-more")
    assert len(window.all("#rows-table tbody tr")) == 100
    window.one("#rows-filter").send_keys("drawn 5")
    images = window.js(
        "[...document.querySelectorAll('#rows-table tbody tr')].map(row => row.cells[0].textContent)"
    )
    assert set(images) == {"drawn 5"}
    window.one("#rows-filter").send_keys(Keys.CONTROL, "a", Keys.NULL, Keys.DELETE)
    window.js(
        "(e => { e.value = 'error'; e.dispatchEvent(new Event('change')); })(document.getElementById('rows-codec'))"
    )
    errors = window.js(
        "[...document.querySelectorAll('#rows-table tr.error')].map(row => row.lastChild.textContent)"
    )
    assert errors == ["ValueError: it refuses <images> & such"] * 8


def test_the_slider_moves_by_keyboard_and_by_dragging(chromium: webdriver.Chrome, report: Path) -> None:
    window = Window(chromium, report)
    window.go_to("#look", ".handle")
    handle, stage = window.one(".handle"), window.one(".stage")
    window.js("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", stage)
    assert handle.get_attribute("aria-valuenow") == "50"
    handle.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert handle.get_attribute("aria-valuenow") == "54"
    handle.send_keys(Keys.HOME)
    assert window.js("document.querySelector('.over').style.clipPath") == "inset(0px 0px 0px 0%)"
    quarter = stage.size["width"] // 4
    actions = (
        ActionChains(chromium).move_to_element(stage).click_and_hold().move_by_offset(quarter, 0).release()
    )
    actions.perform()
    assert int(str(handle.get_attribute("aria-valuenow"))) == pytest.approx(75, abs=2)


def test_the_difference_is_that_of_the_samples_times_the_gain(
    chromium: webdriver.Chrome, tmp_path: Path
) -> None:
    original = drawn(2, 30, 40)
    other = np.clip(original.astype(int) + np.arange(40)[None, :, None] % 7 - 3, 0, 255).astype(np.uint8)
    page = write_comparison(tmp_path / "comparison.html", original, [Reconstruction("other", other, 1.0)])
    window = Window(chromium, page)
    window.go_to("#look", "#viewer [data-value='difference']")
    window.click("#viewer [data-value='difference']")
    window.until("document.querySelector('canvas')?.dataset.drawn === '8'")
    data = "[...document.querySelector('canvas').getContext('2d').getImageData(0, 0, 40, 30).data]"
    found = np.array(window.js(data)).reshape(30, 40, 4)[:, :, :3]
    difference = np.abs(original.astype(int) - other)
    np.testing.assert_array_equal(found, np.minimum(8 * difference, 255))
    window.js(
        "(e => { e.value = 3; e.dispatchEvent(new Event('input')); })(document.querySelector('[type=range]'))"
    )
    window.until("document.querySelector('canvas')?.dataset.drawn === '3'")
    assert window.complaints() == []
    assert window.requests() == []


def test_the_theme_can_be_switched(chromium: webdriver.Chrome, report: Path) -> None:
    window = Window(chromium, report)
    colour = "getComputedStyle(document.body).backgroundColor"
    line = "document.getElementById('rd-plot').data[0].line.color"
    light = window.js(colour), window.js(line)
    window.click("#theme")
    assert window.js("document.documentElement.dataset.theme") == "dark"
    assert window.js(colour) != light[0]
    assert window.js(line) != light[1]


def test_a_lossless_run_is_shown(chromium: webdriver.Chrome, tmp_path: Path) -> None:
    make_run(tmp_path, {str(n): drawn(n, 24, 32) for n in range(3)}, LOSSLESS)
    window = Window(chromium, make_report(tmp_path))
    window.see_everything()
    assert len(window.all("#lossless-table tbody tr")) == 3
    shown = window.js(
        "[...document.querySelectorAll('section')].filter(part => !part.hidden).map(part => part.id)"
    )
    assert shown == ["lossless", "look", "rows", "facts"]
    assert window.complaints() == []
