"""Masks that a network draws: how well they cover the true ones, and both outlines over the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dashboard.figures import answers, raster, theme

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

BINS = 20
CASING = "#11161F"
"""Dark edge on either side of an outline, so that it shows on every picture."""

OUTLINES = {"true": "#FFFFFF", "predicted": "#7FB2E8"}
"""Light in both themes, because they lie on the picture and its dark edge."""


def labelled(ds: xr.Dataset) -> bool:
    """Say whether true masks are known."""
    return int(ds.attrs.get("n_labelled", 0)) > 0


def verdict(ds: xr.Dataset) -> str:
    """Sum up in a sentence or two how well the masks fit, with the interval."""
    name = ds.attrs.get("network_title", "The network")
    if not labelled(ds):
        return (
            f"{name} draws a mask on each picture, but how good it is cannot be told: no true masks come "
            "with these stimuli."
        )
    mean, low, high = (float(ds.attrs[f"mean_iou{end}"]) for end in ("", "_low", "_high"))
    every = float(ds.attrs["everything_iou"])
    between = f" (95 % interval {low:.3f} to {high:.3f})" if np.isfinite(low) else ""
    text = (
        f"{name}'s masks and the true ones overlap with a mean IoU of {mean:.3f}{between} over "
        f"{int(ds.attrs['n_labelled'])} pictures."
    )
    no_better = ", so it is no better than that" if np.isfinite(low) and low <= every else ""
    return f"{text} Calling every pixel object would give {every:.3f}{no_better}."


def iou_words(ds: xr.Dataset) -> str:
    """Describe the spread in a sentence: median, and the worst picture."""
    names, iou = answers.names(ds, "stimulus"), ds["iou"].to_numpy()
    k = int(np.argmin(iou))
    return (
        f"Half of the pictures lie above {float(ds.attrs['median_iou']):.3f}; the worst is {names[k]} "
        f"({iou[k]:.3f})."
    )


def words_about(ds: xr.Dataset, stimulus: str) -> str:
    """Say how much of one picture the network gives to the object, and how well that fits."""
    k = answers.place(ds, stimulus)
    said = 100 * float(ds["predicted_share"].to_numpy()[k])
    text = f"{said:.1f} % of the pixels are called object"
    if not labelled(ds):
        return f"{text}. How many are, is not known."
    true, iou = 100 * float(ds["true_share"].to_numpy()[k]), float(ds["iou"].to_numpy()[k])
    return f"{text}, {true:.1f} % are: intersection over union {iou:.3f}."


def twin_words(ds: xr.Dataset, twin: xr.Dataset) -> str:
    """Compare the mean overlap with the untrained twin's, pictures being the same."""
    if not (labelled(ds) and labelled(twin)):
        return answers.UNJUDGED
    return answers.beside_twin(ds, twin, "mean_iou", "{:.3f}".format, start="Mean IoU: ")


def alt(ds: xr.Dataset) -> str:
    """Return the result in words."""
    return f"{verdict(ds)} {iou_words(ds)}" if labelled(ds) else verdict(ds)


def order(ds: xr.Dataset) -> list[str]:
    """Return the names of the pictures, the worst first; as given where no truth is known."""
    names = answers.names(ds, "stimulus")
    if not labelled(ds):
        return names
    return [names[k] for k in np.argsort(ds["iou"].to_numpy(), kind="stable")]


def table(ds: xr.Dataset) -> pd.DataFrame:
    """Return one row per picture, the worst first: intersection over union and the share of the pixels."""
    import pandas as pd

    columns: dict[str, Any] = {
        "stimulus": answers.names(ds, "stimulus"),
        "category": answers.categories(ds),
        "IoU": ds["iou"].to_numpy(),
        "predicted share": ds["predicted_share"].to_numpy(),
    }
    if labelled(ds):
        columns["true share"] = ds["true_share"].to_numpy()
    return pd.DataFrame(columns).sort_values("IoU", kind="stable", ignore_index=True)


def iou_chart(ds: xr.Dataset, *, dark: bool = False, width: Any = "container", height: int = 260) -> Any:
    """Draw how often each intersection over union occurs; the mean is marked."""
    import altair as alt

    iou = ds["iou"].to_numpy()
    low = np.floor(10 * float(iou.min())) / 10  # the empty left of the axis would hide the shape
    counts, edges = np.histogram(iou, bins=BINS, range=(min(low, 0.9), 1.0))
    rows = [
        {"from": float(a), "to": float(b), "pictures": int(n), "none": 0}
        for a, b, n in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    bars = (
        alt.Chart(alt.Data(values=rows))
        .mark_rect(color=theme.colour("network", dark), stroke=theme.colour("background", dark))
        .encode(
            x=alt.X(
                "from:Q",
                title="Intersection over union (1: both masks are the same)",
                scale=alt.Scale(domain=[rows[0]["from"], 1], nice=False),
            ),
            x2="to:Q",
            y=alt.Y("pictures:Q", title="Pictures"),
            y2="none:Q",
            tooltip=[
                alt.Tooltip("from:Q", title="From", format=".3f"),
                alt.Tooltip("to:Q", title="To", format=".3f"),
                alt.Tooltip("pictures:Q", title="Pictures"),
            ],
        )
    )
    mean = alt.Chart(alt.Data(values=[{"x": float(ds.attrs["mean_iou"]), "words": "mean"}]))
    rule = mean.mark_rule(color=theme.colour("text", dark), strokeDash=[5, 4]).encode(x="x:Q")
    words = mean.mark_text(align="right", dx=-4, baseline="top", color=theme.colour("text", dark)).encode(
        x="x:Q", y=alt.value(2), text="words:N"
    )
    return theme.style((bars + rule + words).properties(width=width, height=height), dark)


def overlay_chart(
    ds: xr.Dataset,
    stimulus: str,
    thumbnail: np.ndarray | None = None,
    *,
    dark: bool = False,
    side: int = 300,
) -> Any:
    """Draw both outlines over the picture: the true one white, the predicted one blue and dashed.

    Parameters
    ----------
    ds : xarray.Dataset
    stimulus : str
    thumbnail : np.ndarray (s, s, 3) uint8, optional
        The picture in small, a narrow one set on grey; plain grey without it.
    side : int
        Pixels of the drawing.
    """
    return theme.style(theme.unfitted(_overlay(ds, stimulus, thumbnail, side)), dark)


def _overlay(ds: xr.Dataset, stimulus: str, thumbnail: np.ndarray | None, side: int) -> Any:
    import altair as alt

    k = answers.place(ds, stimulus)
    picture = np.full((1, 1, 3), 128, np.uint8) if thumbnail is None else thumbnail
    uri = raster.data_uri(raster.png(picture))
    image = (
        alt.Chart(alt.Data(values=[{"url": uri}]))
        .mark_image(width=side, height=side, aspect=False, aria=False)
        .encode(x=alt.value(side / 2), y=alt.value(side / 2), url="url:N")
    )
    layers = [image]
    for which, variable in (("true", "true_mask"), ("predicted", "predicted_mask")):
        if variable not in ds:
            continue
        mask = ds[variable].transpose("stimulus", "y", "x").to_numpy()[k]
        size = int(ds["height"].to_numpy()[k]), int(ds["width"].to_numpy()[k])
        base = alt.Chart(alt.Data(values=_placed(outline(mask), mask.shape, size))).encode(
            x=alt.X("x:Q", scale=alt.Scale(domain=[0, 1], nice=False), axis=None),
            y=alt.Y("y:Q", scale=alt.Scale(domain=[0, 1], nice=False, reverse=True), axis=None),
            x2="x2:Q",
            y2="y2:Q",
        )
        dash = [4, 3] if which == "predicted" else [1, 0]
        layers.append(base.mark_rule(color=CASING, strokeWidth=4, strokeCap="square", aria=False))
        layers.append(base.mark_rule(color=OUTLINES[which], strokeWidth=2, strokeDash=dash, aria=False))
    return alt.layer(*layers).properties(width=side, height=side)


def outline(mask: np.ndarray) -> np.ndarray:
    """Return the border of a mask as straight pieces along the edges of pixels.

    Parameters
    ----------
    mask : np.ndarray (height, width)
        What is not zero belongs to the object.

    Returns
    -------
    np.ndarray (n_pieces, 4) int64
        x, y, x2, y2 in pixels from the upper left corner; pieces in a row are joined.
    """
    inside = np.pad(np.asarray(mask) != 0, 1)
    across = inside[1:, 1:-1] != inside[:-1, 1:-1]  # (height + 1, width): between two rows
    along = inside[1:-1, 1:] != inside[1:-1, :-1]  # (height, width + 1): between two columns
    level = [(a, y, b, y) for y, line in enumerate(across) for a, b in _runs(line)]
    upright = [(x, a, x, b) for x, line in enumerate(along.T) for a, b in _runs(line)]
    return np.array([*level, *upright], dtype=np.int64).reshape(-1, 4)


def _runs(line: np.ndarray) -> list[tuple[int, int]]:
    """Return start and end of every run of True."""
    turns = np.flatnonzero(np.diff(np.concatenate([[False], line, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(turns[::2], turns[1::2], strict=True)]


def _placed(pieces: np.ndarray, shape: tuple[int, ...], size: tuple[int, int]) -> list[dict[str, float]]:
    """Bring pieces from pixels of the mask to the square thumbnail, grey beside a narrow picture."""
    high, wide = (n / max(size) for n in size)
    scale = np.array([wide / shape[1], high / shape[0]] * 2)
    shift = np.array([(1 - wide) / 2, (1 - high) / 2] * 2)
    return [dict(zip(("x", "y", "x2", "y2"), map(float, p), strict=True)) for p in pieces * scale + shift]


def main_chart(ds: xr.Dataset, width: int = 640) -> Any:
    """Draw for a file what sums the answer up: the histogram, or without truth the first outline."""
    if not labelled(ds):
        import altair as alt

        # Inside a row, because an export stretches a single view to the width of a column.
        return theme.style(alt.hconcat(_overlay(ds, answers.names(ds, "stimulus")[0], None, min(width, 420))))
    return iou_chart(ds, width=width)
