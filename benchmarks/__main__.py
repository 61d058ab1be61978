"""Run every benchmark, one after the other, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

NAMES = (
    "rdm",
    "bootstrap",
    "inference",
    "compare",
    "extraction",
    "attention",
    "attribution",
    "command",
    "page",
    "report",
    "store_kills",
    "occlusion",
    "encoding",
    "tuning",
)


def main() -> int:
    """Return the number of benchmarks that failed."""
    failed = 0
    for name in NAMES:
        sys.stdout.write(f"\n=== {name}\n")
        sys.stdout.flush()
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}"], cwd=Path(__file__).parents[1], check=False
        )
        failed += done.returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
