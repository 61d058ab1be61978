"""Kill a process a hundred times while it writes to the store: all that is found later is whole and right.

Run it with ``python -m benchmarks.store_kills``; it takes about two minutes and ends with exit status 1
when a start was unreadable or a value was wrong.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

import h5netcdf  # noqa: F401  (imported once here, so that every child starts at once)
import h5py  # noqa: F401
import numpy as np
import xarray as xr
import zarr  # noqa: F401

from dashboard import packing
from dashboard.arrays import ArrayStore  # noqa: F401
from dashboard.store import Store

N_ANSWERS = 6
N_ARRAYS = 3
ROWS, UNITS, BATCH = 60, 2000, 12


def key(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


@cache
def answer(i: int) -> xr.Dataset:
    """Return the one right answer number ``i``, of up to 1 MB."""
    rng = np.random.default_rng(i)
    values = rng.standard_normal((4, 500 * (1 + i % 6) ** 2))
    return xr.Dataset(
        {"rdm": (("layer", "pair"), values)}, {"layer": [f"l{j}" for j in range(4)]}, attrs={"title": str(i)}
    )


@cache
def activations(i: int) -> np.ndarray:
    """Return the one right array number ``i``, (ROWS, UNITS)."""
    return np.random.default_rng(1000 + i).standard_normal((ROWS, UNITS)).astype(np.float32)


def write_for_ever(root: Path, seed: int, ready: int) -> None:
    """Write answers and arrays again and again, until killed; say when the first of each is written."""
    kept = Store(root, 10**9)
    chooser = random.Random(seed)
    put(kept, chooser.randrange(N_ANSWERS))
    append(kept, chooser.randrange(N_ARRAYS))
    os.write(ready, b"!")
    while True:
        if chooser.random() < 0.6:
            put(kept, chooser.randrange(N_ANSWERS))
        else:
            append(kept, chooser.randrange(N_ARRAYS))


def put(kept: Store, i: int) -> None:
    if not kept.put(key(f"answer {i}"), answer(i)):
        os._exit(3)


def append(kept: Store, i: int) -> None:
    """Write an array on from where it stopped; a complete one is removed and begun anew."""
    if kept.arrays.has(key(f"array {i}")):
        kept.arrays.remove(key(f"array {i}"))
    values = activations(i)
    with kept.arrays.begin(key(f"array {i}"), ROWS, UNITS, batch=BATCH) as writer:
        for start in range(writer.position, ROWS, 5):
            writer.append(start, values[start : start + 5])
        writer.finish()


def check(root: Path) -> dict[str, int]:
    """Open everything as a fresh start does; count what was found, unreadable or wrong."""
    kept = Store(root, 10**9)
    seen = {"answers": 0, "arrays": 0, "unfinished": 0, "unreadable": 0, "wrong": 0}
    try:
        kept.usage()
        for i in range(N_ANSWERS):
            found = kept.open(key(f"answer {i}"))
            seen["answers"] += found is not None
            seen["wrong"] += found is not None and not packing.same(found, answer(i))
        for i in range(N_ARRAYS):
            values = kept.arrays.read(key(f"array {i}"))
            seen["arrays"] += values is not None
            seen["wrong"] += values is not None and not np.array_equal(values, activations(i))
            seen["unfinished"] += values is None and kept.arrays.progress(key(f"array {i}")) > 0
        seen["unreadable"] += any(entry.kind == "unreadable" for entry in kept.entries())
    except Exception:
        import traceback

        traceback.print_exc()
        seen["unreadable"] += 1
    return seen


def forked(function, *arguments) -> int:
    """Run a function in a child process and return the child's number."""
    child = os.fork()
    if child:
        return child
    try:
        function(*arguments)
    finally:
        os._exit(1)


def checked(root: Path) -> dict[str, int]:
    """Run `check` in a process of its own, with nothing remembered."""
    read, write = os.pipe()

    def tell() -> None:
        os.write(write, json.dumps(check(root)).encode())
        os._exit(0)

    child = forked(tell)
    os.close(write)
    with os.fdopen(read) as answers:
        text = answers.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else {"unreadable": 1, "wrong": 0}


def kill_one(root: Path, seed: int, after_s: float) -> None:
    """Start a writer, let it write for a while, and kill it."""
    ready, say = os.pipe()
    child = forked(write_for_ever, root, seed, say)
    os.close(say)
    said = os.read(ready, 1)
    os.close(ready)
    if said:
        time.sleep(after_s)
        os.kill(child, signal.SIGKILL)
    if os.waitpid(child, 0)[1] != signal.SIGKILL:
        sys.exit("The writer ended by itself: this says nothing about kills.")


def main() -> int:
    """Kill, check, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chooser = random.Random(options.seed)
    # What parent and children share is made once; zarr starts threads, so only children use it.
    for i in range(N_ANSWERS):
        packing.unpack(packing.pack(answer(i)))
    for i in range(N_ARRAYS):
        activations(i)
    total: dict[str, int] = {}
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for i in range(options.kills):
            kill_one(root, i, chooser.uniform(0, 0.25))
            for name, count in checked(root).items():
                total[name] = total.get(name, 0) + count
        leftovers = sum(p.name.startswith(".") for p in root.rglob("*"))
    sys.stdout.write(
        f"{options.kills} kills: {total['unreadable']} unreadable starts, {total['wrong']} wrong values\n"
        f"opened {total['answers']} answers and {total['arrays']} arrays, {total['unfinished']} unfinished "
        f"arrays; {leftovers} leftovers of killed writes beside; {time.monotonic() - start:.0f} s\n"
    )
    seen = total["answers"] and total["arrays"]
    return 0 if seen and not total["unreadable"] and not total["wrong"] else 1


if __name__ == "__main__":
    sys.exit(main())
