"""Reruns of the pages with stored answers: median milliseconds of the script, 30 reruns each.

Goal: at most 150 ms on an idle machine. The pages run in Streamlit's own test harness, without a browser.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time

PAGES = ("brain.py", "rdms.py", "home.py", "jobs.py")
RERUNS = 30


def main() -> None:
    """Print the median and the slowest rerun of every page."""
    from streamlit.testing.v1 import AppTest

    from dashboard import jobs

    app = AppTest.from_file("../pages/app.py", default_timeout=300)
    try:
        for page in PAGES:
            _settle(app, page)
            times = []
            for _ in range(RERUNS):
                start = time.perf_counter()
                app.run()
                times.append(1000 * (time.perf_counter() - start))
            sys.stdout.write(
                f"{page:10} median {statistics.median(times):6.1f} ms, slowest {max(times):6.1f} ms\n"
            )
    finally:
        jobs.engine().close()


def _settle(app: object, page: str) -> None:
    """Open a page and wait until everything that it asks for is stored."""
    from dashboard import jobs

    app.switch_page(page).run()  # type: ignore[attr-defined]
    while any(not job.over for job in jobs.engine().jobs()):
        time.sleep(0.2)
        app.run()  # type: ignore[attr-defined]
    app.run()  # type: ignore[attr-defined]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        os.environ["HOMOLOG_HOME"] = home
        main()
