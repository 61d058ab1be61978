"""Small answers made from seeds, in the layout that analyses give, for the tests of figures."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr

KINDS = ("human face", "human body", "animal", "natural object", "artificial object")


def attrs(kind: str, simulated: bool = False, **more: Any) -> dict[str, Any]:
    record = {
        "spec": {"kind": kind, "version": 1},
        "seed": 0,
        "seconds": 1.5,
        "created": "2026-11-20T12:00:00Z",
    }
    common = {"title": f"A {kind}", "record": json.dumps(record), "cautions": "[]"}
    return {**common, "simulated": "yes" if simulated else "no", **more}


def layer_names(n: int) -> list[str]:
    return [f"features.{k}" for k in range(n)]


def long_names(n: int) -> list[str]:
    return [
        f"features.denseblock{k // 20}.denselayer{k:03d}.branch_one.normalised.conv2"[:60] for k in range(n)
    ]


def stimulus_names(n: int) -> list[str]:
    return [f"picture {k:04d}" for k in range(n)]


def categories(n: int) -> list[str]:
    return [KINDS[k % len(KINDS)] for k in range(n)]


def patterns(n: int, seed: int) -> np.ndarray:
    """Patterns (n, 30) with category structure."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(len(KINDS), 30))
    return centres[np.arange(n) % len(KINDS)] * 0.8 + rng.normal(size=(n, 30))


def condensed(n: int, seed: int) -> np.ndarray:
    r = np.corrcoef(patterns(n, seed))
    return 1 - r[np.triu_indices(n, 1)]


def rdm(n: int = 20, layers: int = 3, names: list[str] | None = None) -> xr.Dataset:
    values = np.stack([condensed(n, k) * (0.4 + 0.6 * (k + 1) / layers) for k in range(layers)])
    return xr.Dataset(
        {
            "rdm": (("layer", "pair"), values, {"units": "1 − Pearson r"}),
            "n_units": ("layer", np.arange(layers) + 10),
        },
        {
            "layer": names or layer_names(layers),
            "pair": np.arange(values.shape[1]),
            "stimulus": stimulus_names(n),
            "category": ("stimulus", categories(n)),
        },
        attrs("rdm", network="net", stimuli="pictures", metric="correlation", reducer="all"),
    )


def area_rdm(n: int = 20, units: str = "1 − Pearson r") -> xr.Dataset:
    values = np.stack([[condensed(n, 50 + 10 * a + s) for s in range(3)] for a in range(2)])
    values[1, 2] = np.nan
    return xr.Dataset(
        {
            "rdm": (("area", "subject", "pair"), values, {"units": units}),
            "mean_rdm": (("area", "pair"), np.nanmean(values, axis=1), {"units": units}),
            "n_subjects": ("area", [3, 2]),
        },
        {
            "area": ["human IT", "monkey IT"],
            "subject": [0, 1, 2],
            "pair": np.arange(values.shape[2]),
            "stimulus": stimulus_names(n),
            "category": ("stimulus", categories(n)),
        },
        attrs("area-rdm", recording="rec", metric="correlation", metric_note="as published"),
    )


def plane(n: int = 20, sources: int = 2) -> xr.Dataset:
    place = np.stack([patterns(n, k)[:, :2] for k in range(sources)])
    return xr.Dataset(
        {
            "position": (("source", "stimulus", "axis"), place, {"units": "1 − Pearson r"}),
            "stress": ("source", np.linspace(0.12, 0.31, sources)),
        },
        {
            "source": layer_names(sources),
            "stimulus": stimulus_names(n),
            "category": ("stimulus", categories(n)),
        },
        attrs("map"),
    )


def brain(
    layers: int = 8,
    *,
    names: list[str] | None = None,
    subjects: int = 4,
    simulated: bool = False,
    offset: float = 0.0,
    ceiling: bool = True,
    areas: tuple[str, ...] = ("human IT", "monkey IT"),
) -> xr.Dataset:
    rng = np.random.default_rng(3)
    layer = names or layer_names(layers)
    rise = 0.32 * np.sin(np.linspace(0.4, 2.4, layers)) if layers > 1 else np.array([0.3])
    score = np.stack([rise - 0.06 * a + offset + rng.normal(0, 0.012, layers) for a in range(len(areas))])
    half = 0.05 + 0.03 * rng.random(score.shape)
    single = score[..., None] + rng.normal(0, 0.05, (*score.shape, subjects))
    single[1:, :, 1:] = np.nan
    best = score.argmax(axis=1)
    gap = score[np.arange(len(areas)), best][:, None] - score
    low, high = (np.full(len(areas), v if ceiling else np.nan) for v in (0.42, 0.51))
    return xr.Dataset(
        {
            "score": (("area", "layer"), score),
            "sem": (("area", "layer"), half / 1.96),
            "ci_low": (("area", "layer"), score - half),
            "ci_high": (("area", "layer"), score + half),
            "subject_score": (("area", "layer", "subject"), single),
            "ceiling_low": ("area", low),
            "ceiling_high": ("area", high),
            "n_subjects": ("area", np.array([subjects] + [1] * (len(areas) - 1))),
            "n_stimuli": ("area", np.full(len(areas), 92)),
            "p_zero": (("area", "layer"), np.full(score.shape, 0.0)),
            "sample_score": (
                ("area", "layer", "sample"),
                score[..., None] + rng.normal(0, 0.03, (*score.shape, 5)),
            ),
            "best": ("area", np.array([layer[k] for k in best])),
            "indistinguishable": (("area", "layer"), (gap < 0.02).astype(np.int8)),
        },
        {"area": list(areas), "layer": layer},
        attrs(
            "brain",
            simulated,
            network="torchvision:squeezenet1_0",
            recording="kriegeskorte92",
            measure="spearman",
            measure_label="Spearman ρ",
            metric="correlation",
            resample="dual",
            bootstrap=1000,
            seed=0,
        ),
    )


def pictures(n: int = 20, size: int = 64) -> np.ndarray:
    """Thumbnails (n, size, size, 3) uint8: a disc of its own colour each."""
    y, x = np.mgrid[:size, :size] / size - 0.5
    rng = np.random.default_rng(1)
    found = np.full((n, size, size, 3), 235, dtype=np.uint8)
    for k in range(n):
        found[k][x**2 + y**2 < 0.02 + 0.12 * rng.random()] = rng.integers(0, 200, 3)
    return found


def stimuli(n: int = 20) -> xr.Dataset:
    return xr.Dataset(
        {
            "thumbnail": (("stimulus", "y", "x", "channel"), pictures(n)),
            "orientation": ("stimulus", np.linspace(0, 180, n, endpoint=False)),
        },
        {"stimulus": stimulus_names(n), "category": ("stimulus", categories(n))},
        attrs("stimuli", reference="folder:pictures", digest="ab"),
    )


def network(n: int = 5) -> xr.Dataset:
    return xr.Dataset(
        {
            "kind": ("layer", np.array(["Conv2d"] * n)),
            "shape": ("layer", np.array(["64 × 55 × 55"] * n)),
            "parameters": ("layer", np.arange(n) * 1000),
            "units": ("layer", np.full(n, 193600)),
            "default": ("layer", np.array([1] + [0] * (n - 1), dtype=np.int8)),
        },
        {"layer": layer_names(n)},
        attrs(
            "network", name="A network", n_parameters=1234567, input_shape="3 × 224 × 224", reference="net"
        ),
    )


def recording() -> xr.Dataset:
    return xr.Dataset(
        {
            "n_subjects": ("area", [4, 1]),
            "n_stimuli": ("area", [92, 92]),
            "n_units": ("area", [316, 674]),
            "has_responses": ("area", np.array([0, 0], dtype=np.int8)),
            "has_repeats": ("area", np.array([1, 0], dtype=np.int8)),
        },
        {"area": ["human IT", "monkey IT"]},
        attrs("recording", citation="A. Author, 2008", digest="cd"),
    )
