"""Cost of reading all leaf layers of ResNet-50 (92 pictures, spatial mean) beside the plain passes.

``python -m benchmarks.extraction`` prints the ratio of processor times, taken in turns in one process, and
the peak memory of each in a process of its own. Wanted: at most 1.15 times the plain passes, at most 500 MB
above them.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

NETWORK = "torchvision:resnet50?untrained&seed=0"
STIMULI = 92
WANTED_RATIO, WANTED_MEGABYTES = 1.15, 500


def passes(stimuli: int, batch: int) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return the two things compared: plain forward passes, and the same with every leaf layer read."""
    import torch

    from dashboard import networks
    from dashboard.networks import capture

    network = networks.load(NETWORK)
    layers = networks.select(network.layers, ["leaves"])
    random = torch.Generator().manual_seed(0)
    batch = batch or capture.batch_size(network)
    pictures = torch.randn((stimuli, *network.input_shape), generator=random)

    def plain() -> None:
        with torch.inference_mode():
            for part in pictures.split(batch):
                network.module(part)

    def read() -> None:
        kept: dict[str, list[Any]] = {layer.name: [] for layer in layers}
        for rows in networks.activations(network, pictures.split(batch), layers, "spatial-mean"):
            for name, values in rows.items():
                kept[name].append(values)

    return plain, read


def timed(run: Callable[[], None]) -> float:
    """Return the processor seconds of one run: what other programs take meanwhile does not count."""
    start = time.process_time()
    run()
    return time.process_time() - start


def ratio(stimuli: int, batch: int, repeats: int) -> dict[str, Any]:
    """Time both in turns; return the smallest times, their ratio, and the ratio of every pair."""
    plain, read = passes(stimuli, batch)
    plain()
    read()
    pairs = [(timed(plain), timed(read)) for _ in range(repeats)]
    fastest = [min(column) for column in zip(*pairs, strict=True)]
    return {
        "plain_s": fastest[0],
        "read_s": fastest[1],
        "ratio": fastest[1] / fastest[0],
        "ratio_median_of_pairs": statistics.median(b / a for a, b in pairs),
    }


def peak(which: str, stimuli: int, batch: int, threads: int) -> float:
    """Return the peak memory, in MB, of a fresh process that does one of the two."""
    command = [sys.executable, "-m", "benchmarks.extraction", "--only", which]
    command += ["--stimuli", str(stimuli), "--batch", str(batch), "--threads", str(threads)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def peak_here(which: str, stimuli: int, batch: int) -> float:
    """Do one of the two and return this process's peak memory in MB."""
    plain, read = passes(stimuli, batch)
    (plain if which == "plain" else read)()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.extraction", description=__doc__)
    parser.add_argument("--stimuli", type=int, default=STIMULI)
    parser.add_argument("--batch", type=int, default=0, help="0 is what Homolog takes by itself")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", choices=["plain", "read"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    # Memory first: a process counts the peak of the one that started it, which must be small then.
    memory = {}
    if not options.only:
        memory = {w: peak(w, options.stimuli, options.batch, options.threads) for w in ("plain", "read")}
    import torch

    torch.set_num_threads(options.threads)
    if options.only:
        print(peak_here(options.only, options.stimuli, options.batch))
        return
    result = ratio(options.stimuli, options.batch, options.repeats)
    result["peak_above_plain_MB"] = memory["read"] - memory["plain"]
    result["within"] = result["ratio"] <= WANTED_RATIO and result["peak_above_plain_MB"] <= WANTED_MEGABYTES
    print(json.dumps({**vars(options), **memory, **result}, indent=1))


if __name__ == "__main__":
    main()
