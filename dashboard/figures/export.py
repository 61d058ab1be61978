"""Answers and figures as files: pictures, tables, netCDF, the spec, and a page that needs no network."""

from __future__ import annotations

import html
import json
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from dashboard.errors import ComputeError, InputError, unknown
from dashboard.figures import answers, theme
from dashboard.figures.rdms import Matrix

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

Preset = Literal["single", "double"]

MILLIMETRES: dict[str, float] = {"single": 85.0, "double": 180.0}
"""Width of a journal's single and double column."""

PIXELS_PER_MM = 96 / 25.4
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a text that starts so for a formula."""


# --- tables ------------------------------------------------------------------------------------------------


def _table_of(module: str, function: str) -> Callable[[xr.Dataset], pd.DataFrame]:
    """Return the table function of a figure module, imported when it is called."""

    def table(ds: xr.Dataset) -> pd.DataFrame:
        found: pd.DataFrame = getattr(import_module(f"dashboard.figures.{module}"), function)(ds)
        return found

    return table


def _rdm_table(ds: xr.Dataset) -> pd.DataFrame:
    return _pairs(ds, "rdm", ("layer",))


def _model_table(ds: xr.Dataset) -> pd.DataFrame:
    return _pairs(ds, "rdm", ("model",))


def _area_table(ds: xr.Dataset) -> pd.DataFrame:
    table = _pairs(ds, "rdm", ("area", "subject"))
    return table[table["dissimilarity"].notna()].reset_index(drop=True)


def _pairs(ds: xr.Dataset, variable: str, dims: tuple[str, ...]) -> pd.DataFrame:
    """Return one row per pair of stimuli, in condensed order, for every place in the other dimensions."""
    import pandas as pd

    names = np.array(answers.names(ds, "stimulus"), dtype=object)
    first, second = np.triu_indices(len(names), 1)
    values = ds[variable].transpose(*dims, "pair").to_numpy()
    places = np.indices(values.shape[:-1]).reshape(len(dims), -1)
    table: dict[str, Any] = {
        dim: np.repeat(np.array(answers.names(ds, dim), dtype=object)[place], len(first))
        for dim, place in zip(dims, places, strict=True)
    }
    copies = places.shape[1]
    table["stimulus_a"] = np.tile(names[first], copies)
    table["stimulus_b"] = np.tile(names[second], copies)
    table["dissimilarity"] = values.ravel()
    return pd.DataFrame(table)


def _map_table(ds: xr.Dataset) -> pd.DataFrame:
    import pandas as pd

    sources, names = answers.names(ds, "source"), answers.names(ds, "stimulus")
    place = ds["position"].transpose("source", "stimulus", "axis").to_numpy().reshape(-1, 2)
    return pd.DataFrame(
        {
            "source": np.repeat(np.array(sources, dtype=object), len(names)),
            "stimulus": names * len(sources),
            "category": answers.categories(ds) * len(sources),
            "x": place[:, 0],
            "y": place[:, 1],
            **{
                fit: np.repeat(ds[fit].to_numpy(), len(names)) for fit in ("stress", "explained") if fit in ds
            },
        }
    )


def _recording_table(ds: xr.Dataset) -> pd.DataFrame:
    return ds.drop_dims([d for d in ds.dims if d != "area"]).to_dataframe().reset_index()


def _costs_table(ds: xr.Dataset) -> pd.DataFrame:
    return ds.to_dataframe().reset_index()


TABLES: dict[str, Callable[[xr.Dataset], pd.DataFrame]] = {
    "attention": _table_of("attention", "table"),
    "brain": _table_of("brain", "score_table"),
    "inference": _table_of("inference", "table"),
    "model-rdm": _model_table,
    "rdm-partition": _table_of("partition", "table"),
    "influence": _table_of("influence", "table"),
    "flexible": _table_of("flexible", "table"),
    "rdm": _rdm_table,
    "area-rdm": _area_table,
    "map": _map_table,
    "stimuli": _table_of("stimuli", "stimulus_table"),
    "network": _table_of("network", "layer_table"),
    "recording": _recording_table,
    "inspect": _table_of("inspect", "table"),
    "predictions": _table_of("tasks", "table"),
    "training": _table_of("network", "training_table"),
    "costs": _costs_table,
    "health": _table_of("health", "table"),
    "recurrent": _table_of("recurrent", "table"),
    "latents": _table_of("latents", "table"),
    "traversal": _table_of("latents", "traversal_table"),
    "versus": _table_of("versus", "table"),
    "walk": _table_of("walk", "table"),
    "attribution": _table_of("attribution", "table"),
    "attribution-set": _table_of("attribution_set", "table"),
    "trust": _table_of("trust", "table"),
    "conductance": _table_of("conductance", "table"),
    "head-brain": _table_of("head_brain", "table"),
    "attribution-methods": _table_of("attribution", "refusal_table"),
    "filters": _table_of("filters", "kernel_table"),
    "gabors": _table_of("filters", "gabor_table"),
    "feature-maps": _table_of("filters", "map_table"),
    "tuning": _table_of("tuning", "table"),
    "neuron-tuning": _table_of("tuning", "table"),
    "units": _table_of("units", "table"),
    "preferred": _table_of("preferred", "table"),
    "effective-field": _table_of("effective_field", "table"),
    "connections": _table_of("connections", "table"),
    "selectivity": _table_of("selectivity", "table"),
    "concepts": _table_of("selectivity", "concept_table"),
    "probe": _table_of("decoding", "table"),
    "decoding": _table_of("decoding", "table"),
    "encoding": _table_of("encoding", "table"),
    "alignment": _table_of("alignment", "table"),
    "variance-partition": _table_of("encoding", "partition_table"),
}
"""Tidy table by kind of answer."""


def table(dataset: xr.Dataset) -> pd.DataFrame:
    """Return an answer as a tidy table, one observation a row.

    Raises
    ------
    InputError
        When there is no table for this kind of answer.
    """
    kind = answers.kind(dataset)
    if kind not in TABLES:
        raise unknown("table for the kind of answer", kind, TABLES)
    return TABLES[kind](dataset)


def _escaped(value: Any) -> Any:
    """Put a quote before a text that a spreadsheet would run as a formula, and keep lines inside quotes."""
    if not isinstance(value, str):
        return value
    quoted = f"'{value}" if value.startswith(FORMULA_STARTS) else value
    return quoted.replace("\r\n", "\n").replace("\r", "\n")  # the writer puts quotes around "\n" only


def _csv(dataset: xr.Dataset, figure: Any, preset: str) -> bytes:
    import pandas as pd

    found = table(dataset)
    for name in found.columns:
        if not pd.api.types.is_numeric_dtype(found[name]):
            found[name] = found[name].map(_escaped)
    found.columns = pd.Index([_escaped(name) for name in found.columns])
    return found.to_csv(index=False, lineterminator="\n").encode()


# --- figures -----------------------------------------------------------------------------------------------


def _figure_of(
    module: str, function: str, inner: Callable[[int], int] = lambda width: width
) -> Callable[[xr.Dataset, int], Any]:
    """Return the main figure of a figure module, imported when it is called.

    ``inner`` gives the width of the plotting area that a picture of some width has room for.
    """

    def figure(ds: xr.Dataset, width: int) -> Any:
        return getattr(import_module(f"dashboard.figures.{module}"), function)(ds, width=inner(width))

    return figure


def _profile(ds: xr.Dataset, width: int) -> Any:
    from dashboard.figures.brain import layer_profile

    several = ds.sizes["area"] > 1
    return layer_profile(ds, width=width - 64 if several else width, height=240 if several else 280)


def _matrices(panels: Sequence[Matrix], width: int) -> Any:
    from dashboard.figures.rdms import matrices_chart

    columns = min(len(panels), 2 if width < 400 else 4)
    side = min((width - 110 - 18 * (columns - 1)) // columns, 260)
    return matrices_chart(panels, columns=columns, side=side)


def _layer_matrices(ds: xr.Dataset, width: int) -> Any:
    from dashboard.figures.rdms import matrices

    return _matrices(matrices(ds), width)


def _area_matrices(ds: xr.Dataset, width: int) -> Any:
    from dashboard.figures.rdms import matrices

    return _matrices(matrices(None, ds), width)


def _maps(ds: xr.Dataset, width: int) -> Any:
    from dashboard.figures.rdms import map_chart

    columns = min(ds.sizes["source"], 1 if width < 400 else 3)
    return map_chart(ds, columns=columns, side=min((width - 20 * columns) // columns, 320))


def _traversal(ds: xr.Dataset, width: int) -> Any:
    from dashboard.figures.latents import traversal_chart

    return traversal_chart(ds, side=max(24, (width - 60) // ds.sizes["step"]))


FIGURES: dict[str, Callable[[xr.Dataset, int], Any]] = {
    "attention": _figure_of("attention", "main_chart"),
    "brain": _profile,
    "inference": _figure_of("inference", "main_chart"),
    "model-rdm": _area_matrices,
    "rdm-partition": _figure_of("partition", "main_chart"),
    "influence": _figure_of("influence", "main_chart"),
    "flexible": _figure_of("flexible", "main_chart"),
    "rdm": _layer_matrices,
    "area-rdm": _area_matrices,
    "map": _maps,
    "stimuli": _figure_of("stimuli", "contact_chart", lambda width: width - 12),
    "predictions": _figure_of("tasks", "main_chart"),
    "network": _figure_of("network", "flow_chart", lambda width: min(width - 20, 480)),
    "inspect": _figure_of("inspect", "main_chart"),
    "training": _figure_of("network", "training_chart", lambda width: max(150, (width - 150) // 3)),
    "health": _figure_of("health", "activation_chart", lambda width: max(180, (width - 160) * 2 // 3)),
    "recurrent": _figure_of("recurrent", "states_chart", lambda width: max(90, (width - 170) // 3)),
    "latents": _figure_of("latents", "main_chart"),
    "traversal": _traversal,
    "versus": _figure_of("versus", "size_chart", lambda width: max(150, width - 190)),
    "walk": _figure_of("walk", "main_chart"),
    "attribution": _figure_of("attribution", "all_items_chart"),
    "attribution-set": _figure_of("attribution_set", "main_chart"),
    "trust": _figure_of("trust", "curves_chart", lambda width: max(150, (width - 130) // 2)),
    "head-brain": _figure_of("head_brain", "main_chart", lambda width: width - 140),
    "conductance": _figure_of("conductance", "bars", lambda width: width - 130),
    "filters": _figure_of("filters", "kernel_chart", lambda width: width - 12),
    "gabors": _figure_of("filters", "gabor_chart", lambda width: width - 160),
    "feature-maps": _figure_of("filters", "maps_chart", lambda width: width - 12),
    "tuning": _figure_of("tuning", "overview"),
    "neuron-tuning": _figure_of("tuning", "overview"),
    "units": _figure_of("units", "overview"),
    "preferred": _figure_of("preferred", "main_chart"),
    "effective-field": _figure_of("effective_field", "main_chart"),
    "connections": _figure_of("connections", "main_chart"),
    "selectivity": _figure_of("selectivity", "chart", lambda width: width - 190),
    "concepts": _figure_of("selectivity", "concept_chart"),
    "probe": _figure_of("decoding", "main_chart"),
    "decoding": _figure_of("decoding", "main_chart"),
    "encoding": _figure_of("encoding", "main_chart"),
    "alignment": _figure_of("alignment", "main_chart"),
    "variance-partition": _figure_of("encoding", "partition_main"),
}
"""Figure by kind of answer, for when none is given: a function of the answer and a width in pixels."""


def specification(dataset: xr.Dataset, figure: Any = None, preset: str = "double") -> dict[str, Any]:
    """Return the Vega-Lite spec of a figure in light theme on white, as wide as the preset.

    Raises
    ------
    InputError
        When no figure is given and the kind of answer has none.
    """
    import altair as alt

    width = round(MILLIMETRES[preset] * PIXELS_PER_MM)
    if figure is None:
        kind = answers.kind(dataset)
        if kind not in FIGURES:
            message = f"There is no figure for the kind of answer {kind}."
            raise InputError(
                message, f"Kinds with figures: {', '.join(sorted(FIGURES))}; or choose .csv or .nc."
            )
        figure = FIGURES[kind](dataset, width)
    elif not isinstance(figure, alt.TopLevelMixin):
        figure = _matrices(figure, width)
    found = theme.style(figure, background="white", font=theme.EXPORT_FONT).to_dict()
    if "width" in found:  # a single view can be as wide as the column; others are scaled as they are
        found["width"] = width
        found["autosize"] = {"type": "fit-x", "contains": "padding"}
    return found


def _svg_text(dataset: xr.Dataset, figure: Any, preset: str, unit: str = "mm", per_mm: float = 1.0) -> str:
    """Render a figure as SVG, offline, as wide as the preset in the given unit."""
    import vl_convert

    spec = specification(dataset, figure, preset)
    try:
        drawn = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
    except ValueError as error:
        message = "The figure could not be drawn for export."
        raise ComputeError(message, "Export the numbers as .csv or .nc instead.") from error
    head = re.search(r' width="([\d.]+)" height="([\d.]+)"', drawn)
    assert head is not None  # noqa: S101 - vl-convert always writes it
    wide = MILLIMETRES[preset] * per_mm
    high = wide * float(head[2]) / float(head[1])
    return drawn.replace(head[0], f' width="{wide:g}{unit}" height="{high:.2f}{unit}"', 1)


def _svg(dataset: xr.Dataset, figure: Any, preset: str) -> bytes:
    return _svg_text(dataset, figure, preset).encode()


def _png(dataset: xr.Dataset, figure: Any, preset: str) -> bytes:
    import vl_convert

    # Twice the pixels of a screen: 192 to the inch, written into the file, so that it opens at its size.
    return vl_convert.svg_to_png(_svg_text(dataset, figure, preset), scale=0.75, ppi=192)


def _pdf(dataset: xr.Dataset, figure: Any, preset: str) -> bytes:
    import vl_convert

    # vl-convert makes one point (1/72 inch) of a pixel (1/96 inch), so the size is given in points.
    return vl_convert.svg_to_pdf(_svg_text(dataset, figure, preset, "px", 72 / 25.4))


# --- answer, spec and page ---------------------------------------------------------------------------------


def _netcdf(dataset: xr.Dataset, figure: Any, preset: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answer.nc"
        dataset.to_netcdf(path, engine="h5netcdf")
        return path.read_bytes()


def _json(dataset: xr.Dataset, figure: Any, preset: str) -> bytes:
    spec = answers.spec(dataset)
    if not spec:
        message = "This answer has no record of what was asked."
        raise InputError(message, "Compute it again to export its spec.")
    return (json.dumps(spec, indent=2, ensure_ascii=False, sort_keys=True) + "\n").encode()


PAGE = Path(__file__).resolve().parents[2] / "assets" / "export" / "page.html"


def _html(dataset: xr.Dataset, figure: Any, preset: str) -> bytes:
    import vl_convert

    from dashboard.figures.alternative import alt_text

    def safe(text: str) -> str:
        return html.escape(text, quote=True)

    # Nothing in a name may end the script element that holds the spec.
    spec = json.dumps(specification(dataset, figure, preset)).replace("<", "\\u003c")
    return (
        Template(PAGE.read_text("utf-8"))
        .substitute(
            title=safe(str(dataset.attrs.get("title", "Homolog"))),
            words=safe(alt_text(dataset)),
            cautions="\n".join(
                f'<p class="caution">Caution: {safe(c)}</p>' for c in answers.cautions(dataset)
            ),
            record=safe(json.dumps(answers.record(dataset), indent=2, ensure_ascii=False)),
            spec=spec,
            library=vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"),
            font=theme.EXPORT_FONT,
            text=theme.colour("text"),
            muted=theme.colour("muted"),
            caution=theme.colour("caution"),
        )
        .encode()
    )


Exporter = Callable[["xr.Dataset", Any, str], bytes]

EXPORTERS: dict[str, Exporter] = {
    "png": _png,
    "svg": _svg,
    "pdf": _pdf,
    "csv": _csv,
    "nc": _netcdf,
    "json": _json,
    "html": _html,
}
"""Function by file ending: answer, figure (or None) and preset in, bytes out."""

MEDIA_TYPES: dict[str, str] = {
    "png": "image/png",
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
    "csv": "text/csv",
    "nc": "application/x-netcdf",
    "json": "application/json",
    "html": "text/html",
}


def export(ending: str, dataset: xr.Dataset, figure: Any = None, preset: Preset = "double") -> bytes:
    """Return an answer as the bytes of a file.

    Parameters
    ----------
    ending : str
        One of `EXPORTERS`, without the dot.
    dataset : xr.Dataset
        The answer.
    figure : alt.Chart or list of Matrix, optional
        What to draw, made for the light theme; by default the figure of the kind of answer.
    preset : {"single", "double"}
        85 or 180 mm wide.

    Raises
    ------
    InputError
        When the ending or the preset is unknown, or the answer has no such form.
    """
    if ending not in EXPORTERS:
        raise unknown("file ending", ending, EXPORTERS)
    if preset not in MILLIMETRES:
        raise unknown("width", preset, get_args(Preset))
    return EXPORTERS[ending](dataset, figure, preset)


def ending_of(path: str | Path) -> str:
    """Return the ending of a file name, checked, so that a long job is refused before it starts.

    Examples
    --------
    >>> ending_of("scores.CSV")
    'csv'
    """
    ending = Path(path).suffix.lower().lstrip(".")
    if ending not in EXPORTERS:
        raise unknown("file ending", ending or Path(path).name, EXPORTERS)
    return ending


def write(path: str | Path, dataset: xr.Dataset, figure: Any = None, preset: Preset = "double") -> Path:
    """Write an answer to a file in the form of its ending; the file appears whole or not at all.

    Raises
    ------
    InputError
        When the ending is unknown, the answer has no such form, or the file cannot be written.
    """
    path = Path(path)
    content = export(ending_of(path), dataset, figure, preset)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        message = f"{path.name} cannot be written: {(error.strerror or 'unknown reason').lower()}."
        raise InputError(message, "Choose another folder or file name.") from error
    return path
