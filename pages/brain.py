"""Which layer of the network is most like each area of the brain?"""

import typing
from collections.abc import Callable

import streamlit as st

from dashboard import provenance
from dashboard.figures import brain as figure
from dashboard.figures.alternative import alt_text
from dashboard.specs import BrainSpec, Measure, Metric, Resample
from dashboard.ui import (
    answers,
    brain_cortex,
    brain_flexible,
    brain_influence,
    brain_partition,
    brain_reweighted,
    brain_tests,
    brain_time,
    brain_why,
    charts,
    choices,
    panel,
    sidebar,
    tables,
)
from dashboard.ui.text import plain


def choose() -> tuple[BrainSpec | None, str]:
    """Draw the controls; return the question and the area of the main figure."""
    chosen = sidebar.current()
    facts = choices.network_facts(chosen.network)
    st.title(f"Which layer of {plain(choices.title(facts, chosen.network))} is most like the brain?")
    areas = [*choices.areas(chosen.recording), *choices.behaviour(chosen.recording)]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        area = choices.pick(
            "area",
            "Area",
            areas,
            help="The brain area in the figure, or behaviour that was measured with the same stimuli. All of "
            "them stand in the tabs below it.",
            waiting=not areas,
        )
        measure = choices.pick(
            "measure",
            "Similarity",
            typing.get_args(Measure),
            default="spearman",
            help="How two RDMs are compared. Take rho-a when a model predicts ties.",
        )
        resample = choices.pick(
            "resample",
            "Error bars over",
            typing.get_args(Resample),
            default="dual",
            help="What the bootstrap draws again. dual draws stimuli and subjects and corrects the variance, "
            "so that conclusions hold for new stimuli and new subjects.",
        )
        controls = choices.simple_models(
            f"recording:{chosen.recording}",
            chosen.recording,
            "controls",
            "Models beside the layers",
            "RDMs of what the stimuli are and look like, of behaviour, and of models that come with the "
            "recording. They enter the figure and the tests, as rivals of the layers.",
        )
        with st.popover("More", icon=":material/tune:", help="Layers, metric and resampling."):
            layers = choices.layers(facts)
            metric = choices.pick(
                "metric",
                "Dissimilarity of the network's patterns",
                typing.get_args(Metric),
                default="correlation",
                help="How two activation patterns are compared. Recordings published as RDMs keep their own.",
            )
            reducer = choices.reducer(chosen.network)
            bootstrap = choices.number(
                "bootstrap", "Bootstrap samples", 1000, low=2, high=10_000, help="More: steadier error bars."
            )
            seed = choices.number(
                "seed", "Seed", 0, low=0, high=2**31 - 1, help="The same seed gives the same numbers."
            )
    spec = choices.build(
        BrainSpec,
        network=chosen.network,
        recording=chosen.recording,
        layers=layers,
        controls=controls,
        metric=metric,
        measure=measure,
        reducer=reducer,
        resample=resample,
        bootstrap=bootstrap,
        seed=seed,
    )
    return spec, area


def show(spec: BrainSpec, area: str) -> None:
    """Draw the verdict, the profile of one area, and the details."""
    answer = answers.ask(spec, height=480)
    if answer is None:
        return
    shown = area if area in answer.area.values else str(answer.area.values[0])
    st.markdown(f"**{plain(figure.verdict(answer, shown))}**")
    answers.cautions(answer)
    charts.draw(answer, "brain-profile", lambda dark: figure.layer_profile(answer, shown, dark), shown)
    st.caption(plain(figure.caption(answer)))
    panel.footer(answer, spec, lambda: figure.layer_profile(answer, area=shown), name="brain")
    details(answer, spec, shown)


def details(answer: choices.Answer, spec: BrainSpec, shown: str) -> None:
    """Draw what stands behind the main figure, in tabs; only the open one asks for anything."""
    others = [str(name) for name in answer.area.values if name != shown]
    layers, best = [str(n) for n in answer.layer.values], str(answer.best.sel(area=shown).item())
    parts: dict[str, Callable[[], None]] = {
        "Table": lambda: table(answer),
        "Tests": lambda: brain_tests.draw(spec, answer, shown),
        "Unique and shared": lambda: brain_partition.draw(spec, answer, shown, layers, best),
        "Combined layers": lambda: brain_flexible.draw(spec, answer, shown),
        "Weighted channels": lambda: brain_reweighted.draw(spec, answer, shown, layers, best),
        "Where the score comes from": lambda: brain_why.draw(spec, answer, shown, layers, best),
        "On the cortex": lambda: brain_cortex.draw(spec, answer),
        "Stimuli": lambda: brain_influence.draw(spec, answer, shown, layers, best),
        "Over time": lambda: brain_time.draw(spec, answer, shown),
    }
    if others:
        parts["Other areas"] = lambda: other_areas(answer, others)
    parts["Methods"] = lambda: methods(answer)
    tabs = st.tabs(list(parts), key="part", on_change="rerun", bind="query-params")
    for tab, draw in zip(tabs, parts.values(), strict=True):
        if tab.open:
            with tab:
                draw()
    choices.next_steps(
        ("rdms.py", "See the RDMs behind these numbers", ":material/grid_on:"),
        ("jobs.py", "See what was computed and stored", ":material/list_alt:"),
    )


def table(answer: choices.Answer) -> None:
    """Draw the scores as a table."""
    tables.draw(figure.score_table(answer), alt=alt_text(answer))


def methods(answer: choices.Answer) -> None:
    """Draw the paragraph for a paper."""
    st.markdown(plain(provenance.methods_text(choices.record(answer))))


def other_areas(answer: choices.Answer, names: list[str]) -> None:
    """Draw the profiles of all other areas."""
    for name in names:
        profile(answer, name)


def profile(answer: choices.Answer, area: str) -> None:
    """Draw the profile of one area with its verdict."""
    charts.draw(answer, f"brain-{area}", lambda dark: figure.layer_profile(answer, area, dark), area)
    st.markdown(plain(figure.verdict(answer, area)))


question, main_area = choose()
if question is not None:
    show(question, main_area)
