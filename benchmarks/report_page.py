"""How large the report of a run is, and how long until it can be used, in headless Chromium.

    python benchmarks/report_page.py RUN [--rounds 5]

Ready is when what the window shows first is drawn and the main thread has nothing more to do: the time from the
start of navigation to the first idle moment (requestIdleCallback) after the plots of the first screen were drawn.
The cache is empty each time; the page is read from the disk. Needs `chromium`, `chromedriver` and selenium.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from common import write_result
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

from neuralcodec.evaluation.reporting import report


def browser(width: int, height: int) -> webdriver.Chrome:
    """Return headless Chromium with a window of a size."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        f"--window-size={width},{height}",
    ):
        options.add_argument(argument)
    return webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))


def milliseconds_until_ready(page: Path, width: int) -> float:
    """Open a page in a new browser, and return the milliseconds until it says that it is ready."""
    driver = browser(width, 900)
    try:
        driver.get(page.resolve().as_uri())
        ready = "return document.documentElement.dataset.ready"
        WebDriverWait(driver, 60, 0.05).until(lambda found: found.execute_script(ready))
        return float(driver.execute_script(ready))
    finally:
        driver.quit()


def main() -> None:
    """Measure and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        page = report(given.run, output=folder)
        seconds = time.perf_counter() - start
        waits = {
            width: [milliseconds_until_ready(page, width) for _ in range(given.rounds)]
            for width in (1280, 390)
        }
        figures = {
            "bytes": page.stat().st_size,
            "seconds_to_write": round(seconds, 2),
            "milliseconds_until_ready": {
                str(width): {"median": statistics.median(values), "greatest": max(values)}
                for width, values in waits.items()
            },
        }
    write_result(__file__, figures)


if __name__ == "__main__":
    main()
