"""The answers that the Home page shows before anything is computed; ``python -m dashboard.analyses.examples``
computes them again.

The first needs the SqueezeNet weights and the recording of the 92 objects; the others use what is bundled.
"""

from __future__ import annotations

import sys
from pathlib import Path

from dashboard.specs import BrainSpec, MapSpec, RdmSpec, Spec, StimuliSpec

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "examples"

OBJECTS = "objects?n=60"

EXAMPLES: dict[str, Spec] = {
    "profile": BrainSpec(
        network="torchvision:squeezenet1_0?weights=squeezenet1_0/model.safetensors",
        recording="kriegeskorte92",
    ),
    "rdm": RdmSpec(network="bundled:tilt_cnn", stimuli="neuromatch-gratings?n=60", layers=("pool", "fc")),
    "map": MapSpec(rdms=RdmSpec(network="bundled:objects_cnn", stimuli=OBJECTS, layers=("block4",))),
}
"""Name of the file -> what it answers."""

PICTURES = StimuliSpec(stimuli=OBJECTS)
"""The stimuli of the map, for its thumbnails."""


def main() -> None:
    """Compute every example and write it to assets."""
    from dashboard.compute import compute
    from dashboard.figures import export

    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, spec in {**EXAMPLES, "pictures": PICTURES}.items():
        answer = compute(spec)
        if name == "profile":
            # The samples behind the error bars are a megabyte that the page does not draw.
            answer = answer.drop_vars("sample_score")
        export.write(FOLDER / f"{name}.nc", answer)
        sys.stdout.write(f"{name}.nc\n")


if __name__ == "__main__":
    main()
