"""Answers and figures as files: pictures, tables, netCDF, the spec, and a page that needs no network."""

from __future__ import annotations

import html
import json
import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
SCREEN_DPI, PRINT_DPI = 192, 300
POINTS = (5.0, 12.0)
"""Sizes of letters that journals ask for lie between these."""


@dataclass(frozen=True)
class Look:
    """How a figure is drawn for a file.

    Attributes
    ----------
    preset : {"single", "double"}
        85 or 180 mm wide.
    points : float
        Size of the labels of axes in print, in points; 0 leaves the proportions as on the screen.
    dpi : int
        Pixels to the inch of a PNG: 192 is twice a screen's, 300 is what journals ask for.
    """

    preset: Preset = "double"
    points: float = 0.0
    dpi: int = SCREEN_DPI

    def __post_init__(self) -> None:
        if self.preset not in MILLIMETRES:
            raise unknown("width", self.preset, get_args(Preset))
        low, high = POINTS
        if self.points and not low <= self.points <= high:
            message = f"Letters cannot be {self.points:g} points high."
            raise InputError(message, f"Choose {low:g} to {high:g}, or 0 to leave them as they are.")
        if self.dpi not in (SCREEN_DPI, PRINT_DPI):
            raise unknown("resolution", str(self.dpi), (str(SCREEN_DPI), str(PRINT_DPI)))


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
    "time-rsa": _table_of("time_rsa", "table"),
    "time-decoding": _table_of("time_decoding", "table"),
    "flexible": _table_of("flexible", "table"),
    "brain-why": _table_of("brain_why", "table"),
    "brain-where": _table_of("brain_where", "table"),
    "cortex": _table_of("cortex", "table"),
    "reweighted": _table_of("reweighted", "table"),
    "rdm": _rdm_table,
    "area-rdm": _area_table,
    "map": _map_table,
    "stimuli": _table_of("stimuli", "stimulus_table"),
    "network": _table_of("network", "layer_table"),
    "outline": _table_of("network", "layer_table"),
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


def _csv(dataset: xr.Dataset, figure: Any, look: Look) -> bytes:
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
    "time-rsa": _figure_of("time_rsa", "main_chart"),
    "time-decoding": _figure_of("time_decoding", "main_chart"),
    "flexible": _figure_of("flexible", "main_chart"),
    "brain-why": _figure_of("brain_why", "main_chart"),
    "brain-where": _figure_of("brain_where", "main_chart"),
    "cortex": _figure_of("cortex", "main_chart"),
    "reweighted": _figure_of("reweighted", "main_chart"),
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


def specification(dataset: xr.Dataset, figure: Any = None, preset: Preset = "double") -> dict[str, Any]:
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
    found: dict[str, Any] = theme.style(figure, background="white", font=theme.EXPORT_FONT).to_dict()
    if "width" in found:  # a single view can be as wide as the column; others are scaled as they are
        found["width"] = width
        found["autosize"] = {"type": "fit-x", "contains": "padding"}
    return found


_OPAQUE = re.compile(r"<(?:line|path|text|rect)\b[^>]* opacity=[^>]*>")
_CLIP = re.compile(r"\b(id=\"|url\(#)(clip|gradient|pattern)(?:_?)(\d+)")


def _plain_opacity(tag: re.Match[str]) -> str:
    """Write the opacity of a mark without children as that of its fill or line.

    It looks the same, but a renderer need not paint the mark on a layer of its own: hundreds of hatching
    lines took five seconds as layers.
    """
    text = tag[0]
    filled, lined = (re.search(rf' {paint}="(?!none")', text) for paint in ("fill", "stroke"))
    if "-opacity=" in text or (filled and lined):
        return text
    return text.replace(" opacity=", " stroke-opacity=" if lined else " fill-opacity=", 1)


def _same_names(svg: str) -> str:
    """Number the names inside a picture from one: the renderer counts on from picture to picture."""
    seen: dict[str, int] = {}

    def renamed(found: re.Match[str]) -> str:
        number = seen.setdefault(found[2] + found[3], len(seen) + 1)
        return f"{found[1]}{found[2]}{number}"

    return _CLIP.sub(renamed, svg)


def _drawn(spec: Mapping[str, Any]) -> tuple[str, float, float]:
    """Draw a Vega-Lite spec offline; return the SVG, its width and its height in pixels."""
    import vl_convert

    try:
        drawn = vl_convert.vegalite_to_svg(dict(spec), allowed_base_urls=[])
    except ValueError as error:
        message = "The figure could not be drawn for export."
        raise ComputeError(message, "Export the numbers as .csv or .nc instead.") from error
    head = re.search(r' width="([\d.]+)" height="([\d.]+)"', drawn)
    assert head is not None  # noqa: S101 - vl-convert always writes it
    return _OPAQUE.sub(_plain_opacity, _same_names(drawn)), float(head[1]), float(head[2])


FONT_SIZES = ("fontSize", "labelFontSize", "titleFontSize", "subtitleFontSize", "labelLimit", "titleLimit")
LABEL_PIXELS = 11
"""Size of axis labels in the house style; the other sizes keep their proportion to it."""


def _sized(value: Any, factor: float) -> Any:
    """Return a spec with every size of letters multiplied."""
    if isinstance(value, dict):
        return {
            name: round(found * factor, 2)
            if name in FONT_SIZES and isinstance(found, int | float) and not isinstance(found, bool)
            else _sized(found, factor)
            for name, found in value.items()
            if name not in ("data", "datasets")
        } | {name: value[name] for name in ("data", "datasets") if name in value}
    return [_sized(found, factor) for found in value] if isinstance(value, list) else value


def _with_points(spec: Mapping[str, Any], look: Look) -> tuple[str, float, float]:
    """Draw a spec so that the labels of its axes have the size of the look once it is as wide as that."""
    drawn = _drawn(spec)
    for _ in range(2 if look.points else 0):  # larger letters widen the figure, so that they shrink again
        points = LABEL_PIXELS * MILLIMETRES[look.preset] / 25.4 * 72 / drawn[1]
        drawn = _drawn(_sized(dict(spec), look.points / points))
    return drawn


_PAGE = (
    "#set document(date: none)\n"
    "#set page(width: {width:g}mm, height: {height:.2f}mm, margin: 0mm)\n"
    '#image("figure.pdf", width: 100%)\n'
)


@dataclass(frozen=True)
class Drawing:
    """A figure that was drawn once, to be written in several forms; texts stay text in SVG and PDF.

    Attributes
    ----------
    text : str
        SVG without a size of its own.
    width, height : float
        In the pixels of the drawing.
    look : Look
    """

    text: str
    width: float
    height: float
    look: Look

    def svg(self, unit: str = "mm", per_mm: float = 1.0) -> str:
        """Return SVG as wide as the look says, in the given unit."""
        wide = MILLIMETRES[self.look.preset] * per_mm
        size = f' width="{wide:g}{unit}" height="{wide * self.height / self.width:.2f}{unit}"'
        return re.sub(r' width="[\d.]+" height="[\d.]+"', size, self.text, count=1)

    def png(self) -> bytes:
        """Return PNG with the pixels to the inch written into it, so that it opens at its size."""
        import vl_convert

        return vl_convert.svg_to_png(self.svg(), scale=0.75, ppi=self.look.dpi)

    def vectors(self) -> bytes:
        """Return PDF to be set in a document: vectors, and text with its fonts, numbered anew every time."""
        import vl_convert

        # vl-convert makes one point (1/72 inch) of a pixel (1/96 inch), so the size is given in points.
        return vl_convert.svg_to_pdf(self.svg("px", 72 / 25.4))

    def pdf(self) -> bytes:
        """Return PDF: the same vectors, set by Typst, which numbers fonts in the order of their use."""
        import typst

        width = MILLIMETRES[self.look.preset]
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "figure.pdf").write_bytes(self.vectors())
            page = _PAGE.format(width=width, height=width * self.height / self.width)
            (folder / "page.typ").write_text(page, "utf-8")
            return bytes(typst.compile(folder / "page.typ", root=folder))


def draw(spec: Mapping[str, Any], look: Look | None = None) -> Drawing:
    """Draw a Vega-Lite spec offline; the same spec gives the same bytes.

    Raises
    ------
    ComputeError
        When it cannot be drawn.
    """
    look = look or Look()
    return Drawing(*_with_points(spec, look), look)


def _svg(dataset: xr.Dataset, figure: Any, look: Look) -> bytes:
    return draw(specification(dataset, figure, look.preset), look).svg().encode()


def _png(dataset: xr.Dataset, figure: Any, look: Look) -> bytes:
    return draw(specification(dataset, figure, look.preset), look).png()


def _pdf(dataset: xr.Dataset, figure: Any, look: Look) -> bytes:
    return draw(specification(dataset, figure, look.preset), look).pdf()


# --- answer, spec and page ---------------------------------------------------------------------------------


def _netcdf(dataset: xr.Dataset, figure: Any, look: Look) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answer.nc"
        dataset.to_netcdf(path, engine="h5netcdf")
        return path.read_bytes()


def _json(dataset: xr.Dataset, figure: Any, look: Look) -> bytes:
    spec = answers.spec(dataset)
    if not spec:
        message = "This answer has no record of what was asked."
        raise InputError(message, "Compute it again to export its spec.")
    return (json.dumps(spec, indent=2, ensure_ascii=False, sort_keys=True) + "\n").encode()


PAGE = Path(__file__).resolve().parents[2] / "assets" / "export" / "page.html"


def _html(dataset: xr.Dataset, figure: Any, look: Look) -> bytes:
    import vl_convert

    from dashboard.figures.alternative import alt_text

    def safe(text: str) -> str:
        return html.escape(text, quote=True)

    # Nothing in a name may end the script element that holds the spec.
    spec = json.dumps(specification(dataset, figure, look.preset)).replace("<", "\\u003c")
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


Exporter = Callable[["xr.Dataset", Any, Look], bytes]

EXPORTERS: dict[str, Exporter] = {
    "png": _png,
    "svg": _svg,
    "pdf": _pdf,
    "csv": _csv,
    "nc": _netcdf,
    "json": _json,
    "html": _html,
}
"""Function by file ending: answer, figure (or None) and look in, bytes out."""

MEDIA_TYPES: dict[str, str] = {
    "png": "image/png",
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
    "csv": "text/csv",
    "nc": "application/x-netcdf",
    "json": "application/json",
    "html": "text/html",
}


def export(
    ending: str,
    dataset: xr.Dataset,
    figure: Any = None,
    preset: Preset = "double",
    *,
    points: float = 0.0,
    dpi: int = SCREEN_DPI,
) -> bytes:
    """Return an answer as the bytes of a file.

    Parameters
    ----------
    ending : str
        One of `EXPORTERS`, without the dot.
    dataset : xr.Dataset
        The answer.
    figure : alt.Chart or list of Matrix, optional
        What to draw, made for the light theme; by default the figure of the kind of answer.
    preset, points, dpi
        See `Look`.

    Raises
    ------
    InputError
        When the ending or the preset is unknown, or the answer has no such form.
    """
    if ending not in EXPORTERS:
        raise unknown("file ending", ending, EXPORTERS)
    return EXPORTERS[ending](dataset, figure, Look(preset, points, dpi))


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
