"""What does the network say of the stimuli, how good is it, and where does it fail?"""

import streamlit as st

from dashboard import reference
from dashboard.figures import tasks
from dashboard.specs import PredictionsSpec
from dashboard.ui import answers, choices, sidebar
from dashboard.ui.predicted import classes, mask, orientation, own
from dashboard.ui.predicted.shared import Shown
from dashboard.ui.text import plain

AUTOMATIC = "automatic"
VIEWS = {"classes": classes.show, "orientation": orientation.show, "mask": mask.show}
# Kinds of column that can hold the truth.
KINDS = {"classes": "iubOU", "orientation": "iuf", "mask": ""}


def choose(task: str) -> tuple[PredictionsSpec | None, bool]:
    """Draw the controls; return the question and whether the untrained twin stands beside."""
    chosen = sidebar.current()
    facts = choices.network_facts(chosen.network)
    st.title(f"What does {plain(choices.title(facts, chosen.network))} say, and how good is it?")
    truth, top, bins = AUTOMATIC, 5, 10
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if KINDS[task]:
            truth = choices.pick(
                "truth",
                "Truth",
                [AUTOMATIC, *columns(chosen.stimuli, task)],
                help=TRUTH[task],
                waiting=choices.pictures(chosen.stimuli) is None,
            )
        if task == "classes":
            top = choices.number(
                "top",
                "Classes shown",
                5,
                low=1,
                high=20,
                help="How many of the likeliest classes each stimulus gets.",
            )
        twin = choices.switch(
            "twin",
            "Untrained twin",
            help="Set the same network with random weights (seed 0) beside it: what that gets right is no "
            "merit of training.",
        )
        if task == "classes":
            with st.popover("More", icon=":material/tune:", help="Bins of the calibration curve."):
                bins = choices.number(
                    "bins",
                    "Bins of confidence",
                    10,
                    low=2,
                    high=50,
                    help="More bins: finer, but noisier calibration.",
                )
        if choices.reads(chosen.network) == "image":
            own.drop_zone()
    own.problem()
    spec = choices.build(
        PredictionsSpec,
        network=chosen.network,
        stimuli=chosen.stimuli,
        truth="" if truth == AUTOMATIC else truth,
        top=top,
        bins=bins,
    )
    return spec, twin


TRUTH = {
    "classes": "Which column of the stimuli holds the true classes. Text is matched with the names of the "
    "network's classes, whole numbers with their positions. automatic: the category, else label.",
    "orientation": "Which column of the stimuli holds the true orientations in degrees. automatic: "
    "orientation, else tilt.",
}


def columns(stimuli: str, task: str) -> list[str]:
    """Return the columns of the stimuli that could hold the truth."""
    found = choices.pictures(stimuli)
    first = ["category"] if task == "classes" else []
    if found is None:
        return [*first, "label"] if task == "classes" else ["orientation"]
    return first + [
        str(name)
        for name, values in found.data_vars.items()
        if values.dims == ("stimulus",) and values.dtype.kind in KINDS[task] and name != "text"
    ]


def show(spec: PredictionsSpec, twin: bool) -> None:
    """Draw the verdict and what belongs to the kind of prediction."""
    answer = answers.ask(spec, height=560)
    if answer is None:
        return
    figure = tasks.module(answer)
    st.markdown(f"**{plain(figure.verdict(answer))}**")
    answers.cautions(answer)
    plain_twin = spec.replace(network=reference.untrained(spec.network))
    beside = answers.ask(plain_twin, height=120) if twin else None
    if beside is not None:
        st.markdown(plain(figure.twin_words(answer, beside)))
    VIEWS[answer.attrs["task"]](Shown(spec, answer, beside, choices.pictures(spec.stimuli)))
    choices.next_steps(
        ("rdms.py", "See which stimuli the layers tell apart", ":material/grid_on:"),
        ("brain.py", "Compare its layers with a brain", ":material/neurology:"),
    )


def page() -> None:
    """Draw the page, or say why it has nothing to show for the network."""
    facts = choices.network_facts(sidebar.current().network)
    reason = tasks.why_not(facts) if facts is not None else ""
    task = "classes" if facts is None or reason else str(facts.attrs.get("output", "classes"))
    question, with_twin = choose(task)
    if reason:
        st.info(
            plain(f"{reason} This page is for classifiers, such as bundled:objects_cnn."),
            icon=":material/info:",
        )
        choices.next_steps(("network.py", "See what the network is", ":material/account_tree:"))
    elif question is not None:
        show(question, with_twin)


page()
