"""Cost of reading the CLS rows of every head of ViT-B/16 (batches of 4) beside the plain passes.

``python -m benchmarks.attention`` prints the ratio of processor times, taken in turns in one process, what is
kept of a picture, and the memory of everything that is kept. Wanted: at most 1.05 times the plain passes, at
most 1 MB a picture.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

NETWORK = "torchvision:vit_b_16?untrained&seed=0"
BATCH = 4
WANTED_RATIO, WANTED_MEGABYTES = 1.05, 1.0


def timed(run: Callable[[], Any]) -> float:
    """Return the processor seconds of one run: what other programs take meanwhile does not count."""
    start = time.process_time()
    run()
    return time.process_time() - start


def main() -> int:
    """Print a line of JSON; return 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    import torch

    from dashboard import networks
    from dashboard.networks import attention
    from dashboard.networks.attention import Keep

    torch.set_num_threads(options.threads)
    network = networks.load(NETWORK)
    pictures = torch.randn((BATCH, *network.input_shape), generator=torch.Generator().manual_seed(0))

    def plain() -> None:
        with torch.inference_mode():
            network.module(pictures)

    with attention.reading(network, Keep.queries((0,)), torch.device("cpu")) as read:
        kept = sum(record.weights.nbytes for record in read(pictures)[0] if record.weights is not None)
        plain()
        pairs = [(timed(plain), timed(lambda: read(pictures))) for _ in range(options.repeats)]
    told = {
        "network": NETWORK,
        "plain_seconds": round(min(p for p, _ in pairs), 3),
        "read_seconds": round(min(r for _, r in pairs), 3),
        "ratio": round(min(r for _, r in pairs) / min(p for p, _ in pairs), 3),
        "median_ratio": round(statistics.median(r / p for p, r in pairs), 3),
        "megabytes_per_picture": round(kept / BATCH / 1e6, 3),
        "whole_maps_megabytes_per_picture": round(attention.forecast(network).bytes / 1e6, 1),
    }
    missed = told["ratio"] > WANTED_RATIO or told["megabytes_per_picture"] > WANTED_MEGABYTES
    sys.stdout.write(json.dumps({**told, "goals_met": not missed}) + "\n")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
