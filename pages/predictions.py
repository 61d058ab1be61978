"""What does the network say of the pictures, how good is it, and where does it fail?"""

import json

import numpy as np
import streamlit as st

from dashboard import reference
from dashboard.figures import predictions as figure
from dashboard.figures.alternative import alt_text
from dashboard.specs import PredictionsSpec
from dashboard.ui import answers, choices, panel, sidebar
from dashboard.ui.components.gallery import Tile, gallery
from dashboard.ui.components.matrix import matrix_view
from dashboard.ui.text import plain

MOST_TILES = 300
AUTOMATIC = "automatic"


def choose() -> tuple[PredictionsSpec | None, bool]:
    """Draw the controls; return the question and whether the untrained twin stands beside."""
    chosen = sidebar.current()
    facts = choices.network_facts(chosen.network)
    st.title(f"What does {plain(choices.title(facts, chosen.network))} say, and how good is it?")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        truth = choices.pick(
            "truth",
            "Truth",
            [AUTOMATIC, *columns(chosen.stimuli)],
            help="Which column of the stimuli holds the true classes. Text is matched with the names of the "
            "network's classes, whole numbers with their positions. automatic: the category, else label.",
        )
        top = choices.number(
            "top",
            "Classes shown",
            5,
            low=1,
            high=20,
            help="How many of the likeliest classes each picture gets.",
        )
        twin = choices.switch(
            "twin",
            "Untrained twin",
            help="Set the same network with random weights (seed 0) beside it: what that gets right is no "
            "merit of training.",
        )
        with st.popover("More", icon=":material/tune:", help="Bins of the calibration curve."):
            bins = choices.number(
                "bins",
                "Bins of confidence",
                10,
                low=2,
                high=50,
                help="More bins: finer, but noisier calibration.",
            )
    spec = choices.build(
        PredictionsSpec,
        network=chosen.network,
        stimuli=chosen.stimuli,
        truth="" if truth == AUTOMATIC else truth,
        top=top,
        bins=bins,
    )
    return spec, twin


def columns(stimuli: str) -> list[str]:
    """Return the columns of the stimuli that could hold classes: text or whole numbers."""
    found = choices.pictures(stimuli)
    if found is None:
        return ["category", "label"]
    return ["category"] + [
        str(name)
        for name, values in found.data_vars.items()
        if values.dims == ("stimulus",) and values.dtype.kind in "iubOU"
    ]


def untrained(network: str) -> str:
    """Return the reference of the untrained twin."""
    ref = reference.parse(network)
    kept = {name: value for name, value in ref.options.items() if name != "weights"}
    return str(reference.Reference(ref.name, {**kept, "untrained": "", "seed": kept.get("seed", "0")}))


def show(spec: PredictionsSpec, twin: bool) -> None:
    """Draw the verdict, the pictures and, where the truth is known, how good the predictions are."""
    answer = answers.ask(spec, height=560)
    if answer is None:
        return
    st.markdown(f"**{plain(figure.verdict(answer))}**")
    answers.cautions(answer)
    beside = answers.ask(spec.replace(network=untrained(spec.network)), height=120) if twin else None
    if beside is not None:
        st.markdown(plain(figure.twin_words(answer, beside)))
    small = choices.pictures(spec.stimuli)
    if small is not None:
        pictures(answer, beside, small)
    panel.footer(answer, spec, lambda: figure.main_chart(answer), name="predictions")
    if figure.labelled(answer):
        quality(spec, answer, small)
    else:
        st.info(
            "Choose stimuli whose categories are classes of the network, such as objects for Objects CNN; or "
            "choose under Truth a column with the positions of the classes.",
            icon=":material/info:",
        )
    choices.next_steps(
        ("rdms.py", "See which pictures the layers tell apart", ":material/grid_on:"),
        ("brain.py", "Compare its layers with a brain", ":material/neurology:"),
    )


def pictures(answer: choices.Answer, beside: choices.Answer | None, small: choices.Answer) -> None:
    """Draw the grid of pictures and, beside it, what is said of the chosen one."""
    kinds = [str(v) for v in dict.fromkeys(answer.category.values) if str(v)]
    names = [str(v) for v in answer.stimulus.values]
    left, right = st.columns([3, 2], gap="medium")
    with left:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            kind = choices.pick(
                "only", "Category", ["all", *kinds], help="Show the pictures of one category in the grid."
            )
            which = choices.pick(
                "which",
                "Predictions",
                ["all", "right", "wrong"] if figure.labelled(answer) else ["all"],
                help="Show only what the network gets right, or wrong.",
            )
        picture = chosen_picture(names)
        kept = [
            k
            for k, (name, state) in enumerate(zip(names, figure.right(answer), strict=True))
            if kind in ("all", str(answer.category.values[k]))
            and which in ("all", "right" if state == 1 else "wrong" if state == 0 else "")
        ]
        grid(answer, small, [names[k] for k in kept], "grid", picture)
    with right:
        about(answer, beside, small, picture)


def chosen_picture(names: list[str]) -> str:
    """Draw the list of names; the grid sets it, too."""
    value = st.selectbox(
        "Picture",
        names,
        key="picture",
        bind="query-params",
        help="Type a name, or click a picture below.",
    )
    return str(value or names[0])


def grid(answer: choices.Answer, small: choices.Answer, names: list[str], key: str, picture: str) -> None:
    """Draw thumbnails with what the network calls them; a click chooses the picture."""
    if not names:
        st.caption("No picture is of this kind.")
        return
    shown = names[:MOST_TILES]
    place = {str(name): k for k, name in enumerate(answer.stimulus.values)}
    rows = [place[name] for name in shown]
    said = figure.classes(answer)
    best = answer.top_class.values[:, 0]
    states = {1: "right", 0: "wrong", -1: ""}
    right = figure.right(answer)
    tiles = [Tile(name, said[best[k]], states[int(right[k])]) for name, k in zip(shown, rows, strict=True)]

    def take() -> None:
        state = st.session_state[key]
        if state.get("chosen") in place:
            st.session_state["picture"] = state["chosen"]

    gallery(
        tiles,
        np.asarray(small.thumbnail.values)[rows],
        label=f"{len(shown)} pictures with what the network calls them",
        key=key,
        chosen=picture,
        on_choice=take,
    )
    if len(names) > len(shown):
        st.caption(f"The first {len(shown)} of {len(names)} pictures; filter them, or type a name.")


def about(answer: choices.Answer, beside: choices.Answer | None, small: choices.Answer, picture: str) -> None:
    """Draw one picture and its likeliest classes."""
    k = [str(v) for v in answer.stimulus.values].index(picture)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.image(small.thumbnail.values[k], width=128, alt=picture)
        st.markdown(f"**{plain(picture)}**  \n{plain(figure.picture_words(answer, picture))}")
    chart = figure.top_chart(answer, picture, twin=beside, dark=choices.dark(), width=220)
    st.altair_chart(chart, width="content", key="top", theme=None, alt=figure.picture_words(answer, picture))


def quality(spec: PredictionsSpec, answer: choices.Answer, small: choices.Answer | None) -> None:
    """Draw confusion, classes, calibration and the surest mistakes, in tabs."""
    names = ["Confusion", "Classes", "Calibration", "Mistakes", "Table"]
    confusion, classes, calibration, mistakes, table = st.tabs(
        names, key="quality", on_change="rerun", bind="query-params"
    )
    if confusion.open:
        with confusion:
            confusions(spec, answer, small)
    if classes.open:
        with classes:
            chart = figure.class_chart(answer, dark=choices.dark())
            st.altair_chart(chart, key="classes", theme=None, alt=figure.alt(answer))
            st.dataframe(
                figure.class_table(answer), hide_index=True, alt="Precision, recall and F1 of each class"
            )
            panel.footer(answer, spec, lambda: figure.class_chart(answer, width=480), name="classes")
    if calibration.open:
        with calibration:
            st.markdown(plain(figure.calibration_words(answer)))
            chart = figure.calibration_chart(answer, dark=choices.dark(), height=340)
            words = figure.calibration_words(answer)
            st.columns([3, 2])[0].altair_chart(chart, key="calibration", theme=None, alt=words)
            st.caption(
                "Points: pictures in bins of confidence; bars: 95 % intervals (Wilson). On the dashed line a "
                "network is as sure as it is right; below it is too sure."
            )
            panel.footer(
                answer, spec, lambda: figure.calibration_chart(answer, width=480), name="calibration"
            )
    if mistakes.open:
        with mistakes:
            wrong = figure.mistakes(answer, 24)
            st.markdown("The surest mistakes first." if wrong else "Every labelled picture is named right.")
            if wrong and small is not None:
                grid(answer, small, wrong, "mistakes", str(st.session_state.get("picture", "")))
    if table.open:
        with table:
            st.dataframe(figure.table(answer), hide_index=True, alt=alt_text(answer))


def cell(answer: choices.Answer) -> tuple[str, str] | None:
    """Draw the confusion matrix and return truth and prediction of the chosen cell."""
    names = [str(v) for v in answer.truth.values]
    if len(names) > figure.MOST_IN_CELLS:
        chosen = matrix_view([figure.confusion(answer)], key="confusion", height=440)
    else:
        chart = figure.confusion_chart(answer, dark=choices.dark(), side=380, width="container")
        words = figure.confusion_words(answer)
        event = st.altair_chart(chart, key="confusion", theme=None, alt=words, on_select="rerun")
        found = event.selection.get("cell") or [{}]
        chosen = (str(found[0].get("truth", "")), str(found[0].get("prediction", "")))
        if not found[0] and st.session_state.pop("cell_chosen", False):  # somebody has just let it go
            st.query_params.pop("cell", None)
    if chosen is not None and chosen[0] in names and chosen[1] in names:
        st.session_state["cell_chosen"] = True
        st.query_params["cell"] = json.dumps(chosen, ensure_ascii=False)
        return chosen
    return linked(names)


def linked(names: list[str]) -> tuple[str, str] | None:
    """Return the cell that the link names."""
    try:
        found = json.loads(st.query_params.get("cell", ""))
    except ValueError:
        return None
    fits = isinstance(found, list) and len(found) == 2 and all(name in names for name in found)
    return (found[0], found[1]) if fits else None


def confusions(spec: PredictionsSpec, answer: choices.Answer, small: choices.Answer | None) -> None:
    """Draw the confusion matrix; a pinned cell shows its pictures."""
    st.markdown(plain(figure.confusion_words(answer)))
    left, right = st.columns([3, 2], gap="medium")
    with left:
        pinned = cell(answer)
    with right:
        if pinned is None:
            st.caption("Click a cell to see its pictures. Rows are the truth, columns what was said.")
        elif small is not None:
            truth, said = pinned
            found = figure.confused(answer, truth, said)
            many = "picture" if len(found) == 1 else "pictures"
            st.markdown(f"{len(found)} {many} of **{plain(truth)}** called **{plain(said)}**.")
            grid(answer, small, found, "cell", str(st.session_state.get("picture", "")))
    panel.footer(answer, spec, lambda: figure.confusion_chart(answer), name="confusion")


def reason() -> str:
    """Say why this page has nothing to show for the network, as soon as its table is there."""
    facts = choices.network_facts(sidebar.current().network)
    return figure.why_not(facts) if facts is not None else ""


question, with_twin = choose()
if question is not None and reason():
    st.info(
        plain(f"{reason()} This page is for classifiers of pictures, such as bundled:objects_cnn."),
        icon=":material/info:",
    )
    choices.next_steps(("network.py", "See what the network is", ":material/account_tree:"))
elif question is not None:
    show(question, with_twin)
