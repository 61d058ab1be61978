"""What a network is: card, table of layers, the flow of data through its blocks, and how it was trained."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.figures import answers, theme

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

WORDS: dict[str, str] = {
    "Conv": "slides learned kernels over the picture",
    "Linear": "weighs all inputs anew for every output",
    "BatchNorm": "centres and scales every channel with statistics from training",
    "LayerNorm": "centres and scales each stimulus by itself",
    "GroupNorm": "centres and scales groups of channels of each stimulus",
    "ReLU": "sets negative values to zero",
    "GELU": "lets positive values pass and damps negative ones",
    "SiLU": "lets positive values pass and damps negative ones",
    "Hardswish": "lets positive values pass and damps negative ones",
    "Sigmoid": "squeezes values between 0 and 1",
    "Tanh": "squeezes values between −1 and 1",
    "Softmax": "turns values into probabilities that add up to 1",
    "MaxPool": "keeps the largest value of each window",
    "AvgPool": "takes the mean of each window",
    "AdaptiveAvgPool": "takes means so that the output has a fixed size",
    "AdaptiveMaxPool": "takes largest values so that the output has a fixed size",
    "Dropout": "does nothing outside training",
    "StochasticDepth": "does nothing outside training",
    "Identity": "passes on what it gets",
    "Flatten": "writes all values in one row",
    "Embedding": "looks up a learned vector for every token",
    "MultiheadAttention": "mixes tokens, weighed by how well queries fit keys",
    "LSTM": "reads a sequence step by step, with gates that keep and forget",
    "GRU": "reads a sequence step by step, with gates that keep and forget",
    "RNN": "reads a sequence step by step",
    "Upsample": "makes the picture larger",
    "Sequential": "runs its parts one after the other",
}
"""What a module does, by the start of its class; the longest start that fits counts."""


# --- table and facts --------------------------------------------------------------------------------


def layer_table(
    network_ds: xr.Dataset, costs: xr.Dataset | None = None, *, degrees: float = 0.0
) -> pd.DataFrame:
    """Return one row per layer in order of depth.

    Parameters
    ----------
    network_ds : xr.Dataset
    costs : xr.Dataset, optional
        Answer of kind costs for the same network.
    degrees : float
        Degrees of visual angle that the width of a picture takes; with 0 there is no column of degrees.

    Returns
    -------
    pd.DataFrame
        Columns Layer, Kind, Output shape, Units, Parameters, Default (in the default selection or not); with
        costs also FLOPs, Memory (bytes), Receptive field (pixels; missing where there is no such number) and
        Note, why there is none.
    """
    import pandas as pd

    table = pd.DataFrame(
        {
            "Layer": answers.names(network_ds, "layer"),
            "Kind": [str(v) for v in network_ds["kind"].to_numpy()],
            "Output shape": [str(v) for v in network_ds["shape"].to_numpy()],
            "Units": network_ds["units"].to_numpy().astype("int64"),
            "Parameters": network_ds["parameters"].to_numpy().astype("int64"),
        }
    )
    if costs is not None:
        table["FLOPs"] = costs["flops"].to_numpy()
        table["Memory (bytes)"] = costs["memory"].to_numpy()
        table["Receptive field (pixels)"] = costs["receptive_field"].to_numpy()
        if degrees > 0:
            share = costs["receptive_field"].to_numpy() / int(costs.attrs["input_pixels"])
            table["Receptive field (degrees)"] = share * degrees
        table["Note"] = [str(v) for v in costs["receptive_field_note"].to_numpy()]
    table["Default"] = network_ds["default"].to_numpy().astype(bool)
    return table


def costs_words(costs: xr.Dataset) -> str:
    """Say what one stimulus costs, and which layer costs most."""
    total = int(costs.attrs["total_flops"])
    text = f"One stimulus takes {large(total)} floating-point operations"
    flops = costs["flops"].to_numpy()
    names = answers.names(costs, "layer")
    single = [k for k, name in enumerate(names) if not any(n.startswith(f"{name}.") for n in names)]
    if not total or not single:
        return f"{text}."
    most = max(single, key=lambda k: flops[k])
    return f"{text}; {names[most]} takes most, {100 * flops[most] / total:.0f} %."


def large(count: int) -> str:
    """Write a large number with a prefix.

    Examples
    --------
    >>> large(35130000000), large(950)
    ('35.1 G', '950')
    """
    for size, unit in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)


def facts(network_ds: xr.Dataset) -> str:
    """Return a line of facts: layers, parameters, input shape and weights."""
    attrs = network_ds.attrs
    parameters = f"{int(attrs.get('n_parameters', network_ds['parameters'].sum())):,}".replace(",", " ")
    found = [f"{network_ds.sizes['layer']} layers", f"{parameters} parameters"]
    if attrs.get("input_shape"):
        found.append(f"input {attrs['input_shape']}")
    return ", ".join(found)


def card(network_ds: xr.Dataset) -> dict[str, str]:
    """Return what is known of the network, heading to text, in reading order; only what is known."""
    attrs = network_ds.attrs
    told = json.loads(attrs.get("card", "{}"))
    size = int(attrs.get("weight_bytes", 0))
    labels = json.loads(attrs.get("labels", "[]"))
    n_labels = int(attrs.get("n_labels", len(labels)))
    rows = {
        "Task": told.get("task", ""),
        "Family": told.get("family", ""),
        "Trained on": _listed(told.get("data", "")),
        "How": _listed(told.get("hyperparameters", "")),
        "Reaches": _listed(told.get("metrics", "")),
        "Worth knowing": told.get("why", ""),
        "Size": f"{int(attrs.get('n_parameters', 0)):,} parameters, {_bytes(size)}",
        "Input": attrs.get("input_shape", ""),
        "Preprocessing": attrs.get("preprocessing", ""),
        "Output": _outputs(str(attrs.get("output", "")), labels, n_labels),
        "Weights": attrs.get("weights", ""),
        "Source": told.get("source", "") or told.get("recipe", ""),
        "Licence": told.get("licence", "") or "not stated where the weights come from; look there before use",
        "Library": told.get("library", "") or _listed(told.get("versions", "")),
        "Digest": str(attrs.get("digest", ""))[:16],
    }
    return {heading: str(text) for heading, text in rows.items() if text}


def _outputs(kind: str, labels: list[str], n: int) -> str:
    named = ", ".join(labels[:12]) + (f" and {n - 12} more" if n > 12 else "")
    return ": ".join(part for part in (kind, named) if part)


def _listed(value: Any) -> str:
    if not isinstance(value, dict):
        return str(value)
    return "; ".join(f"{name.replace('_', ' ')}: {text}" for name, text in value.items())


def _bytes(size: int) -> str:
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= limit:
            return f"{size / limit:.3g} {unit}"
    return f"{size} bytes"


def verdict(network_ds: xr.Dataset) -> str:
    """Say in a sentence what the network is."""
    attrs = network_ds.attrs
    told = json.loads(attrs.get("card", "{}"))
    blocks = len(flow(network_ds))
    count = int(attrs.get("n_parameters", 0))
    family = f" ({told['family']})" if told.get("family") else ""
    text = (
        f"{attrs.get('name', 'It')}{family} has {blocks} {'block' if blocks == 1 else 'blocks'} "
        f"and {count:,} parameters; it takes "
        f"{attrs.get('input_shape', 'its input')}{' numbers' if told.get('input') == 'vector' else ''}"
    )
    kinds = {
        "classes": f"gives {_plural(int(attrs.get('n_labels', 0)))}",
        "mask": "gives a mask of the picture",
        "orientation": "gives an orientation",
        "picture": "gives a picture",
        "responses": "gives the responses of neurons",
    }
    said = kinds.get(str(attrs.get("output", "")))
    return f"{text} and {said}." if said else f"{text}."


def _plural(n: int) -> str:
    return "one probability" if n == 1 else f"a number for each of {n} classes"


# --- the flow ---------------------------------------------------------------------------------------


@dataclass
class Node:
    """A block of the flow: a layer, or a group of layers that unfolds.

    Attributes
    ----------
    name : str
        Full name; of a group the part that all names inside begin with.
    label : str
        The last part of the name.
    kind, shape, shape_in, words : str
        Class of the module, shape that it gives and that it takes, and what it does, in a sentence.
    parameters : int
    children : list of Node
        What is inside, in order of execution.
    """

    name: str
    label: str
    kind: str = ""
    shape: str = ""
    shape_in: str = ""
    words: str = ""
    parameters: int = 0
    children: list[Node] = field(default_factory=list)


def flow(network_ds: xr.Dataset) -> list[Node]:
    """Return the layers as nested blocks in order of execution, folded by the parts of their names."""
    shown = network_ds
    column = {
        name: [str(v) for v in shown[name].to_numpy()] if name in shown else [""] * shown.sizes["layer"]
        for name in ("kind", "shape", "shape_in", "detail")
    }
    parameters = shown["parameters"].to_numpy()
    leaves = shown["leaf"].to_numpy() if "leaf" in shown else np.ones(shown.sizes["layer"], dtype=int)
    rows = [
        Node(
            name,
            name.rpartition(".")[2],
            column["kind"][k],
            column["shape"][k],
            column["shape_in"][k],
            "",
            int(parameters[k]),
        )
        for k, name in enumerate(answers.names(shown, "layer"))
    ]
    for node, detail in zip(rows, column["detail"], strict=True):
        node.words = _words(node, detail)
    return _nested([(node, bool(leaf)) for node, leaf in zip(rows, leaves, strict=True)], 0)


def _nested(rows: list[tuple[Node, bool]], level: int) -> list[Node]:
    """Group consecutive rows that share the first ``level + 1`` parts of their names."""
    found: list[Node] = []
    group: list[tuple[Node, bool]] = []
    for node, leaf in rows:
        parts = _path(node)
        if group and _path(group[0][0])[: level + 1] != parts[: level + 1]:
            found.append(_folded(group, level))
            group = []
        if leaf and len(parts) == level + 1:
            found.append(node)
            continue
        group.append((node, leaf))
        if len(parts) == level + 1:  # the container itself, which answers after all that is inside it
            found.append(_folded(group, level))
            group = []
    if group:
        found.append(_folded(group, level))
    return found


def _path(node: Node) -> list[str]:
    return node.name.partition(":")[0].split(".")


def _folded(group: list[tuple[Node, bool]], level: int) -> Node:
    """Make one block of a container and what is inside it."""
    last, _ = group[-1]
    own = len(_path(last)) == level + 1
    inside = _nested(group[:-1] if own else group, level + 1)
    if own:
        last.children = inside
        return last
    prefix = ".".join(_path(group[0][0])[: level + 1])
    return Node(
        prefix,
        prefix.rpartition(".")[2],
        "",
        inside[-1].shape,
        inside[0].shape_in,
        f"Holds {len(inside)} parts.",
        sum(n.parameters for n in inside),
        inside,
    )


def _words(node: Node, detail: str) -> str:
    """Say what a module does and how it changes the shape of the data."""
    starts = [start for start in WORDS if node.kind.startswith(start)]
    does = WORDS[max(starts, key=len)] if starts else ""
    text = f"{node.kind} {does}." if does else f"{node.kind}."
    if node.shape_in and node.shape_in == node.shape:
        text += f" The shape stays {node.shape}."
    elif node.shape_in:
        text += f" {_change(node.shape_in, node.shape)}."
    return f"{text} Settings: {detail}." if detail else text


def _change(before: str, after: str) -> str:
    a, b = before.split(" × "), after.split(" × ")
    if len(a) == len(b) == 3:
        pairs = zip(("channels", "height", "width"), a, b, strict=True)
        return "Changes " + ", ".join(f"{name} {x} → {y}" for name, x, y in pairs if x != y)
    return f"{before} becomes {after}"


def flow_chart(network_ds: xr.Dataset, *, dark: bool = False, width: int = 420) -> Any:
    """Draw the folded flow from top to bottom, with the shape of the data on every arrow, for files."""
    import altair as alt

    nodes = flow(network_ds)
    shapes = [str(network_ds.attrs.get("input_shape", "")), *(node.shape for node in nodes)]
    boxes = [
        {"row": 2 * k + 1, "words": f"{n.label} · {n.kind or 'block'} · {n.parameters:,} parameters"}
        for k, n in enumerate(nodes)
    ]
    arrows = [{"row": 2 * k, "words": f"↓  B × {shape}"} for k, shape in enumerate(shapes)]
    y = alt.Y("row:O", axis=None, scale=alt.Scale(paddingInner=0.15))
    box = alt.Chart(alt.Data(values=boxes)).encode(y=y)
    frame = box.mark_bar(
        cornerRadius=4, color=theme.colour("panel", dark), stroke=theme.colour("network", dark), height=24
    ).encode(x=alt.value(0), x2=alt.value(width))
    text = box.mark_text(color=theme.colour("text", dark)).encode(text="words:N", x=alt.value(width / 2))
    arrow = (
        alt.Chart(alt.Data(values=arrows))
        .mark_text(color=theme.colour("muted", dark))
        .encode(y=y, text="words:N", x=alt.value(width / 2))
    )
    title = f"{network_ds.attrs.get('name', 'Network')} (B: stimuli in a batch)"
    chart = (frame + text + arrow).properties(width=width, height=alt.Step(26), title=title)
    return theme.style(chart, dark)


# --- training ---------------------------------------------------------------------------------------


def best_epoch(ds: xr.Dataset) -> int | None:
    """Return the position of the epoch with the least validation loss; None when there is none."""
    loss = ds["loss"].sel(part="validation").to_numpy()
    return int(np.nanargmin(loss)) if np.isfinite(loss).any() else None


def training_words(ds: xr.Dataset) -> str:
    """Say where training was best, whether it overfitted, and whether anything is no number.

    Overfitting is said where the validation loss ends more than 5 % above its least value while the training
    loss went on falling.
    """
    train, held = (ds["loss"].sel(part=p).to_numpy() for p in ("training", "validation"))
    epochs = ds["epoch"].to_numpy()
    best = best_epoch(ds)
    if best is None:
        return "The validation loss was not recorded, or never was a number."
    value = theme.three_digits(float(held[best]))
    metric = float(ds["metric"].sel(part="validation").to_numpy()[best])
    said = [
        f"Best at epoch {int(epochs[best])} of {int(epochs[-1])}: validation loss {value}, "
        f"{ds.attrs.get('metric_name', 'metric')} {theme.three_digits(metric)}."
    ]
    broken = ~np.isfinite(np.stack([train, held])).all(axis=0)
    if broken.any():
        said.append(
            f"The loss is no number in {int(broken.sum())} epochs, first in {int(epochs[broken][0])}."
        )
    elif held[-1] > 1.05 * held[best] and train[-1] < train[best]:
        rise = 100 * (held[-1] / held[best] - 1)
        said.append(
            "Overfitting: afterwards the training loss still falls while the validation loss rises by "
            f"{rise:.0f} %."
        )
    elif best == len(epochs) - 1:
        said.append("No overfitting; it was still improving when training ended.")
    else:
        said.append("No overfitting to speak of: the validation loss stays within 5 % of its least.")
    return " ".join(said)


def training_chart(ds: xr.Dataset, *, dark: bool = False, width: int = 300, height: int = 200) -> Any:
    """Draw loss, metric and learning rate over epochs beside each other, for files."""
    import altair as alt

    sized = [panel.properties(width=width, height=height) for panel in _panels(ds, dark)]
    return theme.style(alt.concat(*sized, columns=3), dark)


def training_charts(ds: xr.Dataset, *, dark: bool = False, height: int = 240) -> list[Any]:
    """Draw loss, metric and, where it was recorded, learning rate over epochs; the best epoch is marked."""
    panels = _panels(ds, dark)
    return [theme.style(panel.properties(width="container", height=height), dark) for panel in panels]


def _panels(ds: xr.Dataset, dark: bool) -> list[Any]:
    best = best_epoch(ds)
    mark = [] if best is None else [{"epoch": int(ds["epoch"].to_numpy()[best])}]
    metric = str(ds.attrs.get("metric_name", "metric"))
    panels = [
        _curves(ds, "loss", "Loss", mark, dark),
        _curves(ds, "metric", metric[:1].upper() + metric[1:], mark, dark),
    ]
    if np.isfinite(ds["learning_rate"].to_numpy()).any():
        panels.append(_curves(ds, "learning_rate", "Learning rate", mark, dark))
    return panels


def _curves(ds: xr.Dataset, name: str, title: str, mark: list[dict[str, int]], dark: bool) -> Any:
    import altair as alt

    values = ds[name]
    parts = answers.names(ds, "part") if "part" in values.dims else [""]
    rows = [
        {"epoch": int(e), "value": float(v), "part": part}
        for part in parts
        for e, v in zip(
            ds["epoch"].to_numpy(), (values.sel(part=part) if part else values).to_numpy(), strict=True
        )
        if math.isfinite(v)
    ]
    tips = [
        alt.Tooltip("epoch:Q", title="Epoch"),
        alt.Tooltip("value:Q", title=title, format=".4g"),
    ]
    lines = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(
            point=alt.OverlayMarkDef(size=18, color=theme.colour("muted", dark)),
            strokeWidth=1.8,
            color=theme.colour("muted", dark),
        )
        .encode(
            x=alt.X("epoch:Q", title="Epoch", axis=alt.Axis(tickMinStep=1, format="d")),
            y=alt.Y("value:Q", title=title, scale=alt.Scale(zero=name != "metric")),
            tooltip=tips,
        )
    )
    if len(parts) > 1:
        colours = [theme.colour("control", dark), theme.colour("network", dark)]
        lines = lines.mark_line(point=alt.OverlayMarkDef(size=18), strokeWidth=1.8).encode(
            color=alt.Color(
                "part:N", title=None, scale=alt.Scale(domain=parts, range=colours), legend=alt.Legend()
            ),
            strokeDash=alt.StrokeDash(
                "part:N", scale=alt.Scale(domain=parts, range=[[5, 4], [1, 0]]), legend=None
            ),
            tooltip=[alt.Tooltip("part:N", title="Part"), *tips],
        )
    rule = (
        alt.Chart(alt.Data(values=mark))
        .mark_rule(color=theme.colour("second", dark), strokeDash=[2, 2])
        .encode(x="epoch:Q", tooltip=alt.Tooltip("epoch:Q", title="Best epoch"))
    )
    return rule + lines


def gradient_history_chart(ds: xr.Dataset, *, dark: bool = False, width: Any = "container") -> Any:
    """Draw the gradient norm of every module over epochs as a map of colours on a log scale."""
    import altair as alt

    modules = answers.names(ds, "module")
    short = theme.short_names(tuple(modules))
    norms = ds["gradient_norm"].transpose("module", "epoch").to_numpy()
    rows = [
        {"module": name, "epoch": int(e), "norm": float(norms[i, k]), "log": math.log10(norms[i, k])}
        for i, name in enumerate(modules)
        for k, e in enumerate(ds["epoch"].to_numpy())
        if norms[i, k] > 0 and math.isfinite(norms[i, k])
    ]
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_rect()
        .encode(
            x=alt.X("epoch:O", title="Epoch", axis=alt.Axis(labelAngle=0, labelOverlap=True)),
            y=alt.Y(
                "module:N",
                title=None,
                sort=modules,
                axis=alt.Axis(labelExpr=f"{theme.js(short)}[datum.value]"),
            ),
            color=alt.Color(
                "log:Q",
                title="log₁₀ of the gradient norm",
                scale=alt.Scale(range=theme.sampled("viridis", 10)),
            ),
            tooltip=[
                alt.Tooltip("module:N", title="Module"),
                alt.Tooltip("epoch:O", title="Epoch"),
                alt.Tooltip("norm:Q", title="Gradient norm", format=".3g"),
            ],
        )
        .properties(width=width, height=alt.Step(14))
    )
    return theme.style(chart, dark)


def training_table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per epoch."""
    import pandas as pd

    table: dict[str, Any] = {"epoch": ds["epoch"].to_numpy()}
    for name in ("loss", "metric"):
        for part in answers.names(ds, "part"):
            table[f"{part} {name}"] = ds[name].sel(part=part).to_numpy()
    table["learning rate"] = ds["learning_rate"].to_numpy()
    for name in answers.names(ds, "module"):
        table[f"gradient norm of {name}"] = ds["gradient_norm"].sel(module=name).to_numpy()
    return pd.DataFrame(table)
