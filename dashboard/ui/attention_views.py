"""What the Attention page draws: heads and picture, heads and tokens, and the details behind them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import streamlit as st

from dashboard.errors import HomologError
from dashboard.figures import attention as figure
from dashboard.figures import head_brain as removed
from dashboard.specs import AttentionSpec, BrainSpec, HeadBrainSpec
from dashboard.ui import answers, charts, choices, panel, sidebar, tables
from dashboard.ui.components.heads import heads_view
from dashboard.ui.components.matrix import matrix_view
from dashboard.ui.components.overlay import overlay_view
from dashboard.ui.components.tokens import tokens_view
from dashboard.ui.text import plain

Answer = choices.Answer
AT = "attention_at"
SEEN_AT = "seen_at"


@dataclass(frozen=True)
class Chosen:
    """The head that the page is about.

    Attributes
    ----------
    layer : int
        Position among the layers that can be read.
    head : int or "mean"
    """

    layer: int
    head: int | str

    @property
    def number(self) -> int:
        """The head, or the first where the mean is chosen."""
        return 0 if self.head == figure.MEAN else int(self.head)


def chosen_head(answer: Answer) -> Chosen:
    """Return the head that was clicked, or that the link names, else the one that looks most narrowly."""
    names = [place.name for place in figure.places(answer)]
    layer, _, head = str(st.session_state.get(AT) or st.query_params.get("at", "")).rpartition(",")
    if layer in names:
        row = names.index(layer)
        if head == figure.MEAN:
            return Chosen(row, head)
        if head.isdecimal() and int(head) < figure.places(answer)[row].heads:
            return Chosen(row, int(head))
    return Chosen(*figure.narrowest(answer))


def take_head(answer: Answer, key: str) -> Callable[[], None]:
    """Return what to do when somebody clicks a head in the grid."""

    def take() -> None:
        sent = st.session_state[key].get("chosen")
        places = figure.places(answer)
        if isinstance(sent, list) and len(sent) == 2 and all(isinstance(k, int) for k in sent):
            row, column = sent
            if 0 <= row < len(places) and 0 <= column <= places[row].heads:
                head = figure.MEAN if column == places[row].heads else str(column)
                st.session_state[AT] = f"{places[row].name},{head}"
                st.query_params["at"] = st.session_state[AT]

    return take


def looked_at() -> dict[str, str]:
    """Return what the link of a view needs besides its question: the head that was clicked, and switches."""
    at = str(st.session_state.get(AT) or st.query_params.get("at", ""))
    switches = {name: "true" for name in ("hide", "shared") if st.session_state.get(name)}
    return {**({"at": at} if at else {}), **switches}


def grid(answer: Answer, rows: Sequence[figure.HeadRow], chosen: Chosen, label: str) -> None:
    """Draw all heads of all layers."""
    column = figure.places(answer)[chosen.layer].heads if chosen.head == figure.MEAN else chosen.number
    key = "heads"
    heads_view(rows, label=label, key=key, chosen=(chosen.layer, column), on_choice=take_head(answer, key))


# --- pictures --------------------------------------------------------------------------------------


@st.fragment
def pictures(spec: AttentionSpec, answer: Answer) -> None:
    """Draw the heads, and the picture with the maps of one of them; a click changes head or query."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        query = pick_query(answer)
        shared = choices.switch(
            "shared",
            "One scale for all heads",
            help="On: colours of all small maps mean the same. Off: each map has its own scale, so that weak "
            "patterns show.",
        )
    found = holding(spec, answer, query)
    if found is None:
        return
    chosen = chosen_head(found)
    left, right = st.columns([5, 4], gap="medium")
    with left:
        label = f"Where {figure.query_words(found, query)} looks, for all heads of all layers."
        grid(found, figure.head_rows(found, query, shared=shared), chosen, label)
    with right:
        over_picture(spec, found, query, chosen)
    asked = spec.replace(query=query)
    panel.footer(
        found,
        asked,
        lambda: figure.sheet(figure.head_rows(found, query, shared=shared)),
        name="heads",
        also=looked_at(),
    )


def pick_query(answer: Answer) -> str:
    """Choose who looks."""
    options = list(figure.queries(answer))
    asked = str(st.session_state.get("query") or st.query_params.get("query", ""))
    if figure.cell(asked, figure.query_grid(answer)) is not None:
        options.append(asked)
    elif asked and asked not in options:
        st.session_state.pop("query", None)
    return choices.pick(
        "query",
        "Who looks",
        options,
        help="cls: the token that is read out. received: the mean over all tokens, so how much each place is "
        "looked at. row,column: a patch; click on the picture, or use the arrow keys and Enter there.",
    )


def holding(spec: AttentionSpec, answer: Answer, query: str) -> Answer | None:
    """Return an answer that holds the query: this one, or another run where maps are too large to keep."""
    if figure.whole(answer) or query == figure.RECEIVED or answer.attrs["query"] == query:
        return answer
    return answers.ask(spec.replace(query=query))


def over_picture(spec: AttentionSpec, answer: Answer, query: str, chosen: Chosen) -> None:
    """Draw the maps of one head over the picture."""
    others = []
    if "rollout" in answer:
        relevant = answers.peek(spec.replace(view="relevance", query=""))
        others = [] if relevant is None else [relevant]
    panels = figure.overlays(answer, query, chosen.layer, chosen.head, others)
    grids = {p.title: p.values.shape for p in panels if p.values is not None}
    finest = figure.query_grid(answer)
    key = "picture-maps"

    def take() -> None:
        title, row, column = st.session_state[key]["chosen"]
        rows, columns = grids[title]
        st.session_state["query"] = f"{row * finest[0] // rows},{column * finest[1] // columns}"

    at = figure.cell(query, finest)
    own = panels[0].values.shape if panels[0].values is not None else finest
    marked = (at[0] * own[0] // finest[0], at[1] * own[1] // finest[1]) if at else None
    overlay_view(
        panels,
        key=key,
        label=f"Where {figure.query_words(answer, query)} looks.",
        narrowest=150,
        widest=240,
        choosing="shows where this patch looks",
        marked=marked,
        on_choice=take,
    )


# --- texts -----------------------------------------------------------------------------------------


@st.fragment
def texts(spec: AttentionSpec, answer: Answer) -> None:
    """Draw the heads as small matrices, and the lines of one of them."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        hide = choices.switch(
            "hide",
            "Hide special tokens",
            help="Leave out tokens that stand for no word, such as [CLS]. What is left is not scaled up, "
            "and how "
            "much is hidden is said below.",
        )
        shared = choices.switch(
            "shared", "One scale for all heads", help="On: colours of all small maps mean the same."
        )
    chosen = chosen_head(answer)
    left, right = st.columns([5, 4], gap="medium")
    with left:
        label = "Who looks at whom, tokens by tokens, for all heads of all layers."
        grid(answer, figure.head_rows(answer, shared=shared, hide=hide), chosen, label)
    with right:
        lines(answer, chosen, hide)
    panel.footer(
        answer,
        spec,
        lambda: figure.sheet(figure.head_rows(answer, shared=shared, hide=hide)),
        name="heads",
        also=looked_at(),
    )


def lines(answer: Answer, chosen: Chosen, hide: bool) -> None:
    """Draw the lines of one head."""
    values, names, hidden = figure.without(answer, figure.text_map(answer, chosen.layer, chosen.head), hide)
    st.markdown(plain(figure.matrix_words(answer, chosen.layer, chosen.head, hide)))
    key = "lines"

    def take() -> None:
        st.session_state[SEEN_AT] = st.session_state[key].get("chosen")

    pinned = st.session_state.get(SEEN_AT)
    tokens_view(
        [name.partition(" ")[2] for name in names],
        [name.partition(" ")[2] for name in names],
        values,
        label="Tokens that look; their lines lead to what they look at.",
        key=key,
        chosen=pinned if isinstance(pinned, int) and pinned < len(names) else None,
        note="Point at a token to see its lines alone; click to keep them."
        + (f" {figure.percent(hidden)} of the attention goes to hidden tokens." if hidden else ""),
        share=answer.attrs["unit"] == "share of attention",
        on_choice=take,
    )


def matrix(spec: AttentionSpec, answer: Answer) -> None:
    """Draw who looks at whom for one head, in numbers."""
    chosen = chosen_head(answer)
    hide = bool(st.session_state.get("hide"))
    if len(figure.tokens(answer)) <= figure.MOST_IN_CHART:
        charts.draw(
            answer,
            "matrix",
            lambda dark: figure.matrix_chart(
                answer, chosen.layer, chosen.head, hide=hide, dark=dark, width="container"
            ),
            chosen,
            hide,
        )
    else:
        matrix_view([figure.matrix(answer, chosen.layer, chosen.head, hide=hide)], key="matrix")
    st.markdown(plain(figure.matrix_words(answer, chosen.layer, chosen.head, hide)))
    panel.footer(
        answer,
        spec,
        lambda: figure.matrix_chart(answer, chosen.layer, chosen.head, hide=hide),
        name="matrix",
        also={**looked_at(), "behind": "Matrix"},
    )


# --- details ---------------------------------------------------------------------------------------


def details(spec: AttentionSpec, answer: Answer) -> None:
    """Draw what stands behind the maps, in tabs that compute only when they are opened."""
    parts: dict[str, Callable[[AttentionSpec, Answer], None]] = {
        **({"Matrix": matrix} if figure.is_text(answer) else {}),
        "Measures": measures,
        "Relevance": relevance,
        "Heads removed": ablation,
        "Agreement": agreement,
        "Queries and keys": query_key,
        "Heads and brain": brain,
        "Table": table,
        "Caveats": caveats,
    }
    tabs = st.tabs(list(parts), key="behind", on_change="rerun", bind="query-params")
    for tab, draw in zip(tabs, parts.values(), strict=True):
        if tab.open:
            with tab:
                draw(spec, answer)


def measures(spec: AttentionSpec, answer: Answer) -> None:
    """Draw distance, entropy and special share of every head against depth."""
    known = [name for name in figure.MEASURES if name in answer]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        titles = {figure.MEASURES[name][0]: name for name in known}
        title = choices.pick(
            "measure_of_heads", "Measure", list(titles), help="What is drawn for every head."
        )
        degrees = 0.0
        if titles[title] == "distance":
            degrees = st.number_input(
                "Degrees of visual angle",
                min_value=0.0,
                max_value=180.0,
                value=0.0,
                key="degrees",
                bind="query-params",
                help="How wide the picture would be for an observer. With 0 distances are in pixels.",
                width=190,
            )
    name = titles[title]
    charts.draw(
        answer,
        "measures",
        lambda dark: figure.measure_chart(answer, name, degrees=degrees, dark=dark),
        name,
        degrees,
    )
    st.caption(f"{figure.MEASURES[name][1]} Points: heads; line: mean of each layer.")
    panel.footer(
        answer, spec, lambda: figure.measure_chart(answer, name, degrees=degrees, width=480), name="measures"
    )


def note(error: HomologError) -> None:
    """Say why a part has nothing to show."""
    st.info(plain(f"{error.problem} {error.remedy}".strip()), icon=":material/info:")


def relevance(spec: AttentionSpec, answer: Answer) -> None:
    """Draw relevance for the class beside attention alone."""
    asked = spec.replace(view="relevance", query="", weighting="weights", layers=())
    found = answers.ask(asked, refused=note)
    if found is None:
        return
    st.markdown(f"**{plain(figure.relevance_words(found))}**")
    if figure.is_text(found):
        charts.draw(found, "relevance", lambda dark: figure.token_chart(found, dark=dark))
    else:
        query = str(found.attrs["query"])
        overlay_view(
            figure.single(found, "relevance", query), key="relevance-map", label=figure.relevance_words(found)
        )
    st.caption(
        "Chefer, Gur & Wolf, 2021. Unlike attention alone, it depends on the class and uses gradients."
    )
    panel.footer(found, asked, lambda: figure.main_chart(found), name="relevance")


def ablation(spec: AttentionSpec, answer: Answer) -> None:
    """Draw what removing each head does to the score."""
    asked = spec.replace(view="ablation", query="", weighting="weights")
    found = answers.ask(asked, refused=note)
    if found is None:
        return
    st.markdown(f"**{plain(figure.ablation_words(found))}**")
    charts.draw(found, "ablation", lambda dark: figure.effect_chart(found, dark=dark))
    st.caption(
        "Blue: the score falls without the head. One head at a time: heads that can stand in for each "
        "other look "
        "unimportant (Michel, Levy & Neubig, 2019)."
    )
    panel.footer(found, asked, lambda: figure.effect_chart(found, width=480), name="ablation")


def agreement(spec: AttentionSpec, answer: Answer) -> None:
    """Draw how well each head agrees with what matters by other methods."""
    asked = spec.replace(view="agreement", query="", weighting="weights")
    found = answers.ask(asked, refused=note)
    if found is None:
        return
    st.markdown(plain(figure.agreement_words(found)))
    methods = [str(name) for name in found.method.values]
    for side, method in zip(st.columns(len(methods), gap="medium"), methods, strict=True):
        with side:
            charts.draw(found, f"agreement-{method}", partial(_agreement_chart, found, method))
    if not figure.is_text(found):
        overlay_view(
            figure.importances(found), key="importance", label="What matters for the class by other methods."
        )
    st.caption(
        "Rank correlation, over places, of a head's map with the absolute importance of each place. Near "
        "zero: "
        "the head looks elsewhere than at what the answer rests on, by that method."
    )
    panel.footer(found, asked, lambda: figure.main_chart(found), name="agreement")


def _agreement_chart(found: Answer, method: str, dark: bool) -> Any:
    return figure.agreement_chart(found, method, dark=dark)


def query_key(spec: AttentionSpec, answer: Answer) -> None:
    """Draw the vectors and products that made one weight."""
    chosen = chosen_head(answer)
    layer = figure.places(answer)[chosen.layer].name
    if chosen.head == figure.MEAN:
        st.info("Choose a single head: a mean has no query and no key.", icon=":material/info:")
        return
    asked = spec.replace(
        view="query-key", layers=(layer,), head=chosen.number, query="", weighting="weights", target="top"
    )
    found = answers.ask(asked, refused=note)
    if found is None:
        return
    names = [str(name) for name in found.token_name.values]
    looking, seen = figure.strongest_pair(found)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        i = names.index(
            choices.pick("pair_from", "Looks", names, default=names[looking], help="Whose query is shown.")
        )
        j = names.index(choices.pick("pair_to", "at", names, default=names[seen], help="Whose key is shown."))
    st.markdown(f"**{plain(figure.pair_words(found, i, j))}**")
    charts.draw(
        found, "products", lambda dark: figure.product_chart(found, i, j, dark=dark), i, j, width="content"
    )
    st.caption(
        "The sum of the products goes into the softmax over all tokens. Relative position terms, where a "
        "network "
        "adds any, come on top."
    )
    panel.footer(found, asked, lambda: figure.product_chart(found, i, j, width=480), name="query-key")


def brain(spec: AttentionSpec, answer: Answer) -> None:
    """Compare what each head gives with the areas of the recording."""
    if figure.is_text(answer):
        st.info("The recording was made with pictures; this network reads texts.", icon=":material/info:")
        return
    recording = sidebar.current().recording
    asked = BrainSpec(network=spec.network, recording=recording, layers=("heads",), bootstrap=100)
    st.markdown(
        f"Every head's output (weights times values) as a layer of its own, compared with "
        f"{plain(recording)} by "
        "its dissimilarities (RDM)."
    )
    if not choices.switch("compare", "Compare", help="Takes one run over all pictures of the recording."):
        st.page_link(
            "brain.py",
            label="Choose heads as layers on the Brain page",
            icon=":material/neurology:",
            query_params={"layers": "heads"},
        )
        return
    found = answers.ask(asked, refused=note)
    if found is None:
        return
    answers.cautions(found)
    areas = [str(area) for area in found.area.values]
    area = choices.pick("head_area", "Area", areas, help="The area of the recording.")
    st.markdown(f"**{plain(figure.brain_words(found, area))}**")
    charts.draw(found, "head-brain", lambda dark: figure.brain_chart(found, area, dark=dark), area)
    panel.footer(found, asked, lambda: figure.brain_chart(found, area, width=480), name="head-brain")
    without_heads(spec, recording, area)


def without_heads(spec: AttentionSpec, recording: str, area: str) -> None:
    """Draw what taking out each head does to the similarity of a later layer with an area."""
    told = "Takes one run over all pictures of the recording for each head: minutes for a large network."
    if not choices.switch("take_out", "Take out each head", help=told):
        return
    asked = HeadBrainSpec(network=spec.network, recording=recording, layers=spec.layers)
    found = answers.ask(asked, refused=note)
    if found is None:
        return
    answers.cautions(found)
    st.markdown(f"**{plain(removed.words(found, area))}**")
    charts.draw(found, "without-heads", lambda dark: removed.chart(found, area, dark=dark), area)
    st.caption(removed.CAVEAT)
    panel.footer(
        found,
        asked,
        lambda: removed.chart(found, area, width=480),
        name="without-heads",
        also={"behind": "Heads and brain", "compare": "true", "take_out": "true", "head_area": area},
    )


def table(spec: AttentionSpec, answer: Answer) -> None:
    """Show the measures of all heads."""
    tables.draw(figure.table(answer), alt=figure.alt(answer))


def caveats(spec: AttentionSpec, answer: Answer) -> None:
    """Say what could mislead, with sources, and how it was done."""
    from dashboard import provenance

    for sentence, source in figure.caveats(answer):
        st.markdown(f"- {plain(sentence)} ({plain(source)})")
    st.markdown(plain(provenance.methods_text(choices.record(answer))))
    _unread(answer)


def _unread(answer: Answer) -> None:
    found = figure.unread(answer)
    if found:
        st.dataframe(
            {
                "Layer": [name for name, _ in found],
                "Why its attention is not shown": [why for _, why in found],
            },
            hide_index=True,
            alt=figure.unread_words(answer),
        )
