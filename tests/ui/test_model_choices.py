"""Which simple models pickers offer."""

from __future__ import annotations

import json

import numpy as np
import xarray as xr

from dashboard.ui import choices


def test_of_many_stimuli_models_are_offered_without_being_computed(monkeypatch):
    n = choices.MANY + 1
    shown = xr.Dataset(
        {
            "thumbnail": (("stimulus", "y", "x", "channel"), np.zeros((n, 1, 1, 3), np.uint8)),
            "size": ("stimulus", np.arange(n)),
        },
        coords={"stimulus": np.arange(n).astype(str), "category": ("stimulus", np.arange(n).astype(str))},
        attrs={"kind": "image"},
    )
    facts = xr.Dataset(attrs={"behaviour": json.dumps({"judgements": 3}), "models": json.dumps(["HMAX"])})
    asked = []
    monkeypatch.setattr(choices, "pictures", lambda reference: shown)
    monkeypatch.setattr(choices.answers, "peek", lambda spec: asked.append(spec.kind) or facts)
    found = choices._fitting("recording:big", "big")
    assert asked == ["recording"]
    assert found == [
        *("category", "pixels", "gist", "luminance", "silhouette", "factor:size"),
        *("behaviour:judgements", "model:HMAX"),
    ]
