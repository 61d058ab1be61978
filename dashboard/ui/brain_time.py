"""Time on the Brain page: from when on does each layer resemble the area, and how do its RDMs change?"""

from __future__ import annotations

import typing

import streamlit as st

from dashboard import provenance
from dashboard.figures import time_rsa as figure
from dashboard.specs import BrainSpec, RecordingSpec, Shuffle, TimeMetric, TimeRsaSpec
from dashboard.ui import answers, charts, choices, panel, tables
from dashboard.ui.components.matrix import matrix_view
from dashboard.ui.text import plain


def without_time(recording: str, area: str) -> bool:
    """Tell whether the recording has no time in this area, and say what to do then."""
    facts = answers.peek(RecordingSpec(recording=recording))
    if facts is None:
        st.caption("…")
        return True
    known = [str(name) for name in facts.area.values]
    n = facts.n_times.values[known.index(area)] if area in known else facts.n_times.values.max()
    if n:
        return False
    st.info(
        f"{plain(str(facts.attrs['title']))} has one response per stimulus and no time. Choose "
        "simulated-time "
        "in the sidebar to see how this looks, or bring responses with an axis that counts time on the Add "
        "page.",
        icon=":material/schedule:",
    )
    return True


def draw(question: BrainSpec, comparison: choices.Answer, area: str) -> None:
    """Draw the controls, the verdict, the courses and the RDMs at chosen times."""
    if without_time(question.recording, area):
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        metric = choices.pick(
            "time_metric",
            "Dissimilarity at each time",
            typing.get_args(TimeMetric),
            help="auto: crossnobis where stimuli were repeated, because noise does not move it, else "
            "correlation.",
        )
        shuffle = choices.pick(
            "shuffle",
            "Shuffle",
            typing.get_args(Shuffle),
            help="stimuli: which stimulus is which; holds with few subjects. subjects: signs of the "
            "subjects' "
            "similarities; says something of new subjects, and needs six or more.",
        )
        permutations = choices.number(
            "time_permutations",
            "Shuffles",
            1000,
            low=19,
            high=10_000,
            help="No p is below 1 / (shuffles + 1).",
        )
    spec = choices.build(
        TimeRsaSpec,
        network=question.network,
        recording=question.recording,
        area=area,
        layers=question.layers,
        metric=metric,
        measure=question.measure,
        reducer=question.reducer,
        shuffle=shuffle,
        permutations=permutations,
        seed=question.seed,
    )
    answer = answers.ask(spec, height=480) if spec is not None else None
    if spec is None or answer is None:
        return
    st.markdown(f"**{plain(figure.verdict(answer))}**")
    answers.cautions(answer, said=comparison)
    charts.draw(answer, "over-time", lambda dark: figure.chart(answer, dark))
    st.caption(plain(figure.caption(answer)))
    panel.footer(answer, spec, lambda: figure.chart(answer, width=560), name="over-time")
    tables.draw(figure.layer_table(answer), alt=figure.verdict(answer))
    st.header("How do the RDMs of the area change?")
    movie(answer, question.recording)
    with st.expander("Clusters as a table", icon=":material/table:"):
        tables.draw(figure.cluster_table(answer), alt=figure.verdict(answer))
    with st.expander("Methods paragraph", icon=":material/article:"):
        st.markdown(plain(provenance.methods_text(choices.record(answer))))


def movie(answer: choices.Answer, recording: str) -> None:
    """Draw the RDMs at chosen times, on one scale."""
    times = [float(t) for t in answer.time.values]
    chosen = st.multiselect(
        "Times (ms)",
        times,
        default=figure.telling_times(answer),
        key="movie-times",
        format_func=lambda t: f"{t:g}",
        max_selections=12,
        help="One matrix each: before the stimulus, at onset and peak of the best layer, and between.",
    )
    if not chosen:
        st.caption("Choose one time or more.")
        return
    shown = choices.pictures(f"recording:{recording}")
    matrix_view(
        figure.movie(answer, sorted(chosen)),
        thumbnails=None if shown is None else shown.thumbnail.values,
        names=() if shown is None else list(map(str, shown.stimulus.values)),
        key="movie",
        height=220,
    )
