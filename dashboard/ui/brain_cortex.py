"""Areas on the cortical surface, on the Brain page."""

from __future__ import annotations

import re
import typing

import streamlit as st

from dashboard import provenance
from dashboard.errors import HomologError
from dashboard.figures import cortex as figure
from dashboard.specs import BrainSpec, CortexSpec, Parcellation
from dashboard.ui import answers, charts, choices, panel
from dashboard.ui.adding import session
from dashboard.ui.text import plain

ENDINGS = ["annot", "label", "gii", "gii.gz", "csv"]
HOW = (
    "Drop a FreeSurfer .annot or .label file, a GIFTI .label.gii, or a .csv with the columns vertex and "
    "region, of fsaverage5 or fsaverage: one for each hemisphere, named like lh.areas.annot and "
    "rh.areas.annot."
)
_LABELS = "cortex_labels"
_UPLOAD = re.compile(r"upload:[0-9a-f]{64}")
BEST = "best of each area"


def draw(question: BrainSpec, comparison: choices.Answer) -> None:
    """Draw the pickers and both hemispheres; what was said of the comparison is not said again."""
    reference = _labels()
    layers = [str(name) for name in comparison.layer.values]
    pickers = st.container(horizontal=True, vertical_alignment="bottom")
    with pickers:
        layer = choices.pick(
            "cortex_layer", "Scores of", [BEST, *layers], default=BEST, help="Whose scores colour the areas."
        )
        come_along = (
            "folds"
            if reference
            else choices.pick(
                "cortex_regions",
                "Regions",
                typing.get_args(Parcellation),
                help="folds: gyri and sulci of Desikan et al. (2006). centres: what lies within 10 mm of the "
                "160 centres of Dosenbach et al. (2010). Neither has borders of visual areas such as V2 or "
                "FFA; bring labels of your own for those.",
            )
        )
    spec = choices.build(
        CortexSpec,
        brain=question,
        labels=reference,
        parcellation=come_along,
        layer="" if layer == BEST else layer,
    )
    answer = answers.ask(spec, height=480) if spec is not None else None
    if spec is None or answer is None:
        return
    with pickers:
        regions = _regions(answer)
    if regions:
        spec = spec.replace(regions=regions)
        answer = answers.ask(spec, height=480)
        if answer is None:
            return
    st.markdown(f"**{plain(figure.verdict(answer))}**")
    if not figure.drawn(answer):
        st.caption(HOW)
    answers.cautions(answer, said=comparison)
    with st.container(horizontal=True):
        for side in ("left", "right"):
            charts.draw(
                answer,
                f"cortex-{side}",
                lambda dark, side=side: figure.hemisphere(answer, side, dark),  # type: ignore[misc]
                side,
                width="content",
            )
    st.caption(plain(figure.caption(answer)))
    panel.footer(
        answer,
        spec,
        lambda: figure.main_chart(answer),
        name="cortex",
        also={"part": "On the cortex", "cortex_layer": layer, "cortex_regions": come_along},
    )
    with st.expander("Numbers", icon=":material/table:"):
        st.dataframe(figure.table(answer), hide_index=True, alt=figure.words(answer))
    with st.expander("Methods paragraph", icon=":material/article:"):
        st.markdown(plain(provenance.methods_text(choices.record(answer))))


def _regions(answer: choices.Answer) -> tuple[str, ...]:
    """Ask where each area is drawn; nothing is returned while all stand at the regions of their names."""
    known = [str(name) for name in answer.region.values]
    linked = _linked(known)
    found: list[str] = []
    changed = False
    for number, (area, given) in enumerate(zip(answer.area.values, answer.regions.values, strict=True)):
        usual = str(given).split(" + ") if str(given) else []
        chosen = st.multiselect(
            f"Region of {plain(str(area))}",
            known,
            default=linked.get(str(area), usual),
            key=f"cortex-{number}-{area}-{answer.attrs['parcellation'][:40]}",
            placeholder="not drawn",
            help="Where the area is drawn, in both hemispheres where the region is in both. "
            "A choice of yours, not a measurement.",
            width=260,
        )
        changed = changed or chosen != usual
        found += [f"{area}={region}" for region in chosen] or [f"{area}="]
    regions = tuple(found) if changed else ()
    _remember("regions", ",".join(regions))
    return regions


def _linked(known: list[str]) -> dict[str, list[str]]:
    """Return the regions of each area that a link asks for, as far as they are known."""
    found: dict[str, list[str]] = {}
    for pair in str(st.query_params.get("regions", "")).split(","):
        area, sign, region = pair.partition("=")
        if sign and (region in known or not region):
            found.setdefault(area, []).extend([region] if region else [])
    return found


def _remember(name: str, value: str) -> None:
    """Put what was chosen into the address, so that it is there after a reload."""
    if value:
        st.query_params[name] = value
    elif name in st.query_params:
        del st.query_params[name]


def _labels() -> str:
    """Take label files, and return the reference of the last ones; "" for the regions that come along."""
    state = st.session_state
    linked = str(st.query_params.get("labels", ""))
    if _LABELS not in state and _UPLOAD.fullmatch(linked):
        state[_LABELS] = linked
    with st.expander("Labels of your own", icon=":material/upload_file:"):
        st.file_uploader(
            "Labels of fsaverage5 or fsaverage",
            type=ENDINGS,
            accept_multiple_files=True,
            key=f"{_LABELS}_files",
            on_change=_take,
            help="A region that bears the name of an area is taken for it; others are chosen below.",
        )
        st.caption(HOW)
        error = state.get(f"{_LABELS}_problem")
        if error is not None:
            answers.problem(error)
    _remember("labels", str(state.get(_LABELS, "")))
    return str(state.get(_LABELS, ""))


def _take() -> None:
    """Keep what was dropped; runs before the page is drawn."""
    state = st.session_state
    for name in (_LABELS, f"{_LABELS}_problem"):
        state.pop(name, None)
    given = state.get(f"{_LABELS}_files") or []
    if not given:
        return
    try:
        state[_LABELS] = session.keep([(file.name, file.getvalue()) for file in given])
    except HomologError as error:
        state[f"{_LABELS}_problem"] = error
