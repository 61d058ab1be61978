"""The brain command on real data, twice from nothing: seconds, memory of the largest process, same bytes.

Goal: under 30 s on two idle cores and under 2 GB in any process, and two runs give the same bytes. Needs
HOMOLOG_DATA; elsewhere it compares the bundled network with the simulated recording.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]


def arguments() -> list[str]:
    """Return the command of the goal, or the bundled pair where there is no real data."""
    weights = Path(os.environ.get("HOMOLOG_DATA", "")) / "weights" / "squeezenet1_0" / "model.safetensors"
    pair = ["bundled:tilt_cnn", "--recording", "simulated-v1"]
    if weights.is_file():
        pair = [f"torchvision:squeezenet1_0?weights={weights}", "--recording", "kriegeskorte92"]
    settings = ["--metric", "correlation", "--measure", "spearman", "--bootstrap", "1000", "--seed", "0"]
    return [sys.executable, "-m", "dashboard", "brain", *pair, *settings]


def run_once(command: list[str], out: Path) -> tuple[float, float]:
    """Run in an empty store; return seconds and the peak memory of any of its processes in GB."""
    with tempfile.TemporaryDirectory() as home:
        start = time.perf_counter()
        process = subprocess.Popen(
            [*command, "--out", str(out)],
            cwd=ROOT,
            env={**os.environ, "HOMOLOG_HOME": home},
            stderr=subprocess.PIPE,
        )
        peak = 0
        while process.poll() is None:
            peak = max([peak, *_memory(process.pid)])
            time.sleep(0.02)
        seconds = time.perf_counter() - start
        if process.returncode:
            raise SystemExit(process.communicate()[1].decode())
    return seconds, peak / 1e9


def _memory(pid: int) -> list[int]:
    """Return the resident memory of a process and of each of its children, in bytes."""
    try:
        main = psutil.Process(pid)
        return [p.memory_info().rss for p in (main, *main.children(recursive=True))]
    except psutil.Error:
        return []


def main() -> None:
    """Print a line per run, and whether the bytes agree."""
    command = arguments()
    digests = []
    with tempfile.TemporaryDirectory() as folder:
        for number in (1, 2):
            out = Path(folder) / f"brain{number}.csv"
            seconds, peak = run_once(command, out)
            digests.append(hashlib.sha256(out.read_bytes()).hexdigest())
            sys.stdout.write(
                f"run {number}: {seconds:.1f} s, largest process {peak:.2f} GB, {digests[-1][:12]}\n"
            )
    sys.stdout.write("same bytes\n" if digests[0] == digests[1] else "DIFFERENT BYTES\n")
    sys.exit(digests[0] != digests[1])


if __name__ == "__main__":
    main()
