"""Which layers and units care for a category, and does a concept move a class?"""

from __future__ import annotations

import streamlit as st

from dashboard.figures import selectivity as figure
from dashboard.figures.theme import three_digits
from dashboard.specs import ConceptsSpec, SelectivitySpec
from dashboard.ui import answers, charts, choices, panel, sidebar, tables
from dashboard.ui.text import plain

ANY_CLASS = "first class of the network"


def choose() -> SelectivitySpec | None:
    """Draw the title and the picker of layers; return the question."""
    chosen = sidebar.current()
    facts = choices.network_facts(chosen.network)
    title = choices.title(facts, chosen.network)
    st.title(f"Which layers and units of {plain(title)} care for which category?")
    layers = choices.layers(facts)
    return choices.build(SelectivitySpec, network=chosen.network, stimuli=chosen.stimuli, layers=layers)


def show(spec: SelectivitySpec) -> None:
    """Draw the verdict, the map of layers and categories, and the details."""
    answer = answers.ask(spec, height=420)
    if answer is not None:
        st.markdown(f"**{plain(figure.verdict(answer))}**")
        answers.cautions(answer)
        charts.draw(answer, "selectivity", lambda dark: figure.chart(answer, dark))
        st.caption(figure.CAVEAT)
        panel.footer(answer, spec, lambda: figure.chart(answer, width=560), name="selectivity")
    names = ["Concepts", "Best units", "Table"] if answer is not None else ["Concepts"]
    tabs = dict(
        zip(names, st.tabs(names, key="selective", on_change="rerun", bind="query-params"), strict=True)
    )
    if tabs["Concepts"].open:
        with tabs["Concepts"]:
            concepts(spec)
    if answer is not None and tabs["Best units"].open:
        with tabs["Best units"]:
            best(answer)
    if answer is not None and tabs["Table"].open:
        with tabs["Table"]:
            tables.draw(figure.table(answer), alt=figure.verdict(answer))
    choices.next_steps(
        ("decoding.py", "Read categories out of each layer", ":material/psychology:"),
        ("tuning.py", "Measure tuning to gratings", ":material/tune:"),
    )


def best(answer: choices.Answer) -> None:
    """Link to the best unit of each category."""
    for name, layer, unit, held, whole in figure.best_units(answer):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(
                plain(f"{name}: d′ {three_digits(held)} held out, {three_digits(whole)} on all stimuli")
            )
            choices.open_with(
                "unit.py", f"{layer} · {unit}", ":material/my_location:", layer=layer, unit=str(unit)
            )


def kinds(stimuli: str) -> list[str]:
    """Return what could stand for a concept: values of columns of texts, then categories."""
    found = choices.pictures(stimuli)
    if found is None:
        return []
    columns = {str(n): v for n, v in found.data_vars.items() if v.dims == ("stimulus",)}
    named = []
    for name, values in columns.items():
        if values.dtype.kind in "OU":
            known = sorted(set(values.to_numpy().astype(str).tolist()) - {""})
            named += [f"{name}={value}" for value in known] if 1 < len(known) <= 40 else []
    categories = sorted(set(found.category.to_numpy().astype(str).tolist()) - {""})
    return list(dict.fromkeys([*named, *(categories if len(categories) > 1 else [])]))


def concepts(spec: SelectivitySpec) -> None:
    """Draw how a concept moves a class, layer by layer, beside random concepts."""
    options = kinds(spec.stimuli)
    found = choices.pictures(spec.stimuli)
    if found is not None and not options:
        st.info(
            "A concept is what some stimuli have and others do not: choose stimuli with categories or "
            "factors, such as objects.",
            icon=":material/info:",
        )
        return
    own = sorted(set(found.category.to_numpy().astype(str).tolist()) - {""}) if found is not None else []
    with st.container(horizontal=True, vertical_alignment="bottom"):
        concept = choices.pick(
            "concept",
            "Concept",
            options,
            help="Stimuli that have it against those that do not.",
            waiting=found is None,
        )
        target = choices.pick(
            "concept_class",
            "Class",
            [ANY_CLASS, *own],
            help="The class of the network that may be moved.",
            waiting=found is None,
        )
        runs = choices.number(
            "runs", "Runs", 20, low=2, high=500, help="Draws of pictures, for the concept and at random."
        )
    if not concept.strip("…"):
        return
    question = choices.build(
        ConceptsSpec,
        network=spec.network,
        stimuli=spec.stimuli,
        concept=concept,
        target="" if target == ANY_CLASS else target,
        layers=spec.layers,
        runs=runs,
    )
    answer = answers.ask(question, height=340) if question is not None else None
    if answer is None or question is None:
        return
    st.markdown(f"**{plain(figure.concept_verdict(answer))}**")
    answers.cautions(answer)
    charts.draw(answer, "concepts", lambda dark: figure.concept_chart(answer, dark))
    st.caption(plain(figure.concept_caption(answer)))
    panel.footer(answer, question, lambda: figure.concept_chart(answer, width=560), name="concepts")
    tables.draw(figure.concept_table(answer), alt=figure.concept_verdict(answer))


question = choose()
if question is not None:
    show(question)
