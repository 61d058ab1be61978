"""A report of twelve figures in every form: seconds, size of each file, how often progress is told.

``python -m benchmarks.report`` answers the twelve questions first, on bundled networks and simulated neurons,
and then makes each file as the app does: by the command, in a process of its own, two at a time. Wanted: all
five files within 30 s on two idle cores, told at least every five seconds, and a web page of at most 8 MB. On
a busy machine the processor seconds over two are the fair number.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from dashboard import compute, errors
from dashboard.report import drawing, edits, exporters, plain
from dashboard.report.model import Item, Panel, Report, Section, Text
from dashboard.specs import (
    AlignmentSpec,
    AreaRdmSpec,
    AttributionSpec,
    BrainSpec,
    DecodingSpec,
    EncodingSpec,
    FiltersSpec,
    NetworkSpec,
    PredictionsSpec,
    RdmSpec,
    RecordingSpec,
    Spec,
    StimuliSpec,
    TuningSpec,
    UnitSpec,
)

ROOT = Path(__file__).resolve().parents[1]
WANTED_SECONDS, WANTED_BYTES, WANTED_GAP = 30.0, 8 * 2**20, 5.0

GRATINGS_CNN, OBJECTS_CNN = "bundled:tilt_cnn", "bundled:objects_cnn"
V1 = "simulated-v1?subjects=2&cells=20"
GRATINGS, OBJECTS = "gratings?orientations=12&phases=2", "objects?n=48"

FIGURES: tuple[tuple[str, Spec], ...] = (
    ("rdm", RdmSpec(network=GRATINGS_CNN, stimuli=GRATINGS, layers=("conv", "pool", "fc"))),
    ("area-rdms", AreaRdmSpec(recording=V1)),
    ("brain", BrainSpec(network=GRATINGS_CNN, recording=V1, bootstrap=100)),
    ("encoding", EncodingSpec(network=GRATINGS_CNN, recording=V1, layers=("pool", "fc"), bootstrap=20)),
    ("decoding", DecodingSpec(recording=V1, column="orientation", permutations=20)),
    ("tuning", TuningSpec(network=GRATINGS_CNN, orientations=8, phases=4)),
    ("filters", FiltersSpec(network=OBJECTS_CNN)),
    ("predictions", PredictionsSpec(network=OBJECTS_CNN, stimuli=OBJECTS)),
    ("attributions", AttributionSpec(network=OBJECTS_CNN, stimuli=OBJECTS, method="input-x-gradient")),
    ("unit", UnitSpec(network=OBJECTS_CNN, stimuli=OBJECTS)),
    (
        "agreement",
        AlignmentSpec(
            network=OBJECTS_CNN, second=f"{OBJECTS_CNN}?untrained&seed=0", stimuli=OBJECTS, bootstrap=20
        ),
    ),
    ("rdm", RdmSpec(network=OBJECTS_CNN, stimuli=OBJECTS)),
)
"""What each figure is called on its page, and what it asks."""

FACTS: tuple[Spec, ...] = (
    *(NetworkSpec(network=name) for name in (GRATINGS_CNN, OBJECTS_CNN)),
    *(StimuliSpec(stimuli=name) for name in (GRATINGS, OBJECTS)),
    RecordingSpec(recording=V1),
)
"""What pages ask besides, and reports tell of where it is known."""


def twelve() -> Report:
    """Return the report, with every figure drawn as it is when somebody pins it."""
    items: list[Item] = [Text(edits.new_id(), "Twelve figures, and $r^2$ between them.")]
    with errors.collect_cautions():
        for spec in FACTS:
            compute.compute(spec)
        for k, (name, spec) in enumerate(FIGURES):
            if k % 4 == 0:
                items.append(Section(edits.new_id(), f"Part {k // 4 + 1}"))
            bare = Panel(edits.new_id(), f"Figure {k + 1}: {spec.kind}", f"Caption **{k + 1}**.", spec, name)
            items.append(drawing.redrawn(bare, [compute.compute(spec)]))
    return Report("Twelve figures", tuple(items))


def made(ending: str, source: Path) -> dict[str, Any]:
    """Make one file in a process of its own; return seconds, bytes and how often progress was told."""
    target = source.with_name(f"report.{ending}")
    command = [sys.executable, "-m", "dashboard", "report", str(source), "--out", str(target), "--tell"]
    start = time.perf_counter()
    told = [start]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        told += [time.perf_counter() for _ in process.stdout]
    if process.returncode:
        raise SystemExit(f"The {ending} was not made.")
    told.append(time.perf_counter())
    gaps = [b - a for a, b in zip(told[:-1], told[1:], strict=True)]
    return {
        "form": ending,
        "seconds": round(told[-1] - start, 2),
        "megabytes": round(target.stat().st_size / 2**20, 2),
        "progress_told": len(told) - 2,
        "largest_gap_s": round(max(gaps), 2),
    }


def all_forms(source: Path, places: int) -> dict[str, Any]:
    """Make every form, up to ``places`` at a time; return what each took and what all took."""
    start, before = time.perf_counter(), _children()
    with ThreadPoolExecutor(places) as pool:
        forms = list(pool.map(made, exporters.EXPORTERS, [source] * len(exporters.EXPORTERS)))
    return {
        "forms": forms,
        "seconds": round(time.perf_counter() - start, 1),
        "processor_seconds_over_two": round((_children() - before) / 2, 1),
    }


def within(forms: Sequence[dict[str, Any]], seconds: float, work: float) -> dict[str, bool]:
    """Say which of the goals were met."""
    size = next(one["megabytes"] for one in forms if one["form"] == "html")
    return {
        "30_s": min(seconds, work) <= WANTED_SECONDS,
        "8_MB": size * 2**20 <= WANTED_BYTES,
        "progress": max(one["largest_gap_s"] for one in forms) <= WANTED_GAP,
    }


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    """Print what was measured; return 1 when a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("--places", type=int, default=2, help="files that are made at a time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.environ["HOMOLOG_HOME"] = name
        source = Path(name) / "report.json"
        source.write_text(json.dumps(plain.to_plain(twelve())), "utf-8")
        found = all_forms(source, options.places)
    found["within"] = within(found["forms"], found["seconds"], found["processor_seconds_over_two"])
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    return 0 if all(found["within"].values()) else 1


if __name__ == "__main__":
    sys.exit(main())
