"""Kill a process a hundred times while somebody edits a session: it opens whole, with the last edits in it.

Run it with ``python -m benchmarks.session_kills``; it takes about a minute and ends with exit status 1 when a
session could not be read, an edit was lost that had been saved, or more than 30 s of edits were.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dashboard.report import edits, session
from dashboard.report.model import Panel, Report, Text
from dashboard.specs import BrainSpec

MOST_LOST_S = 30.0


@dataclass
class Seen:
    """What was found after a kill."""

    unreadable: int = 0
    noted: int = 0
    lost: int = 0
    edits: int = 0
    oldest_s: float = 0.0


def start(folder: Path, figures: int, size: int) -> str:
    """Save a session with figures of about ``size`` characters and return its id."""
    spec = BrainSpec(network="bundled:tilt_cnn", recording="simulated-v1")
    chart = {"mark": "bar", "data": {"values": ["x" * size]}}
    panels = tuple(
        Panel(edits.new_id(), f"Figure {k}", "", spec, "brain", chart=chart) for k in range(figures)
    )
    first = Text(edits.new_id(), "0 0")
    made = session.Session(session.new_id(), "Kills", Report(items=(*panels, first)))
    return session.Cabinet(folder).new(made).id


def edit_for_ever(folder: Path, session_id: str, seed: int, told: int) -> None:
    """Edit and save again and again, until killed; tell the number of each edit that was saved."""
    chooser = random.Random(seed)
    kept = session.Cabinet(folder)
    number = count(kept.read(session_id))[0]
    while True:
        number += 1
        kept.change(session_id, partial(edited, number=number, chooser=chooser))
        os.write(told, f"{number}\n".encode())


def edited(before: session.Session, number: int, chooser: random.Random) -> session.Session:
    """Change the words, sometimes move a figure or take one out and put it back."""
    report = edits.changed(before.report, before.report.items[-1].id, text=f"{number} {time.time()}")
    first = report.items[0].id
    if chooser.random() < 0.3:
        report = edits.moved(report, first, 1)
    if chooser.random() < 0.2:
        report = edits.restored(*edits.without(report, first))
    return dataclasses.replace(before, report=report)


def count(found: session.Session) -> tuple[int, float]:
    """Return the number of the last edit in a session and when it was made."""
    last = found.report.items[-1]
    number, when = last.text.split() if isinstance(last, Text) else ("-1", "0")
    return int(number), float(when)


def kill_one(folder: Path, session_id: str, seed: int, after_s: float, seen: Seen) -> None:
    """Let a process edit for a while, kill it, and open what it left as a fresh start does."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            edit_for_ever(folder, session_id, seed, write)
        finally:
            os._exit(1)
    os.close(write)
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    killed = time.time()
    if os.waitpid(child, 0)[1] != signal.SIGKILL:
        sys.exit("The editor ended by itself: this says nothing about kills.")
    with os.fdopen(read) as answers:
        told = answers.read().split("\n")[:-1]
    check(folder, session_id, int(told[-1]) if told else 0, killed, seen)


def check(folder: Path, session_id: str, told: int, killed: float, seen: Seen) -> None:
    """Open the session and compare it with the last edit that was told to be saved."""
    try:
        opened = session.Cabinet(folder).open(session_id)
    except Exception:
        import traceback

        traceback.print_exc()
        seen.unreadable += 1
        return
    number, when = count(opened.session)
    seen.noted += bool(opened.note)
    seen.lost += number < told
    seen.edits = max(seen.edits, number)
    if told:
        seen.oldest_s = max(seen.oldest_s, killed - when)


def run(kills: int, seed: int, figures: int = 12, size: int = 100_000) -> Seen:
    """Kill, check, and return what was seen."""
    chooser = random.Random(seed)
    seen = Seen()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        session_id = start(folder, figures, size)
        for k in range(kills):
            kill_one(folder, session_id, seed + k, chooser.uniform(0.02, 0.4), seen)
    return seen


def main() -> int:
    """Kill, check, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    begun = time.monotonic()
    seen = run(options.kills, options.seed)
    sys.stdout.write(
        f"{options.kills} kills during {seen.edits} edits: {seen.unreadable} unreadable, {seen.noted} opened "
        f"from the backup, {seen.lost} lost a saved edit; the oldest state was {seen.oldest_s:.2f} s old; "
        f"{time.monotonic() - begun:.0f} s\n"
    )
    good = seen.edits and not seen.unreadable and not seen.lost and seen.oldest_s < MOST_LOST_S
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
