"""Where does a transformer look in a picture or a text, and what do its heads do?"""

import typing

import streamlit as st

from dashboard.errors import HomologError
from dashboard.figures import attention as figure
from dashboard.reference import Reference
from dashboard.specs import AttentionSpec, Weighting
from dashboard.ui import answers, attention_views, choices, sidebar
from dashboard.ui.text import plain

# Read by text networks while no texts are chosen.
SENTENCE = "the keys to the old cabinet near the windows"
TOP = "top"


def choose() -> AttentionSpec | None:
    """Draw the controls and return the question."""
    chosen = sidebar.current()
    facts = choices.network_facts(chosen.network)
    st.title(f"Where does {plain(choices.title(facts, chosen.network))} look?")
    reads = choices.reads(chosen.network) == "text"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        stimuli, item = text() if reads else picture(chosen.stimuli)
        target = choices.pick(
            "target",
            "Class asked about",
            classes(facts),
            help="Relevance, agreement and the effect of removing heads are about the score of this class. "
            "top: the likeliest.",
            waiting=facts is None,
        )
        with st.popover("More", icon=":material/tune:", help="Values and layers."):
            weighting = choices.pick(
                "weighting",
                "What is drawn",
                typing.get_args(Weighting),
                help="weights: shares of attention. values: each weight times the length of the value that "
                "it "
                "brings, so what is really added (Kobayashi et al., 2020).",
            )
            layers = st.multiselect(
                "Layers with attention",
                [],
                key="attention_layers",
                bind="query-params",
                accept_new_options=True,
                placeholder="All",
                help="Names or patterns such as blocks.3.*; all when empty.",
            )
    return choices.build(
        AttentionSpec,
        network=chosen.network,
        stimuli=stimuli,
        item=item,
        target=target,
        weighting=weighting,
        layers=tuple(layers),
    )


def picture(stimuli: str, label: str = "Picture") -> tuple[str, str]:
    """Choose one of the stimuli."""
    shown = choices.pictures(stimuli)
    names = [str(name) for name in shown.stimulus.values] if shown is not None else []
    asked = str(st.session_state.get("item") or st.query_params.get("item", ""))
    if names and asked not in names:
        st.session_state["item"] = names[0]  # set, not dropped: else the browser goes on showing the old one
    if not names:
        choices.pick("item", label, [asked or "…"], help="The names are being read.")
        return stimuli, "" if asked == "…" else asked
    name = choices.pick("item", label, names, help="Type a name, or choose one.")
    # The first has no name in the question: it is asked for before the names are known, and only once.
    return stimuli, "" if name == names[0] else name


def text() -> tuple[str, str]:
    """Choose one of the texts, or ask for another; without any, a sentence of ours is read."""
    stimuli = sidebar.current().stimuli
    shown = choices.pictures(stimuli)
    listed = shown is None or shown.attrs.get("kind") == "text"  # texts until the contrary is known
    chosen = picture(stimuli, "Text") if listed else (_typed(SENTENCE), "")
    typed = st.text_input(
        "Your own text",
        "",  # one and the same in all cases: a default of its own would outlive the case
        key="typed",
        bind="query-params",
        max_chars=2000,
        placeholder="Type to read your own" if listed else SENTENCE,
        width=420,
        help="What the network reads instead of the text chosen. Longer than it takes: the rest is dropped, "
        "and you are told.",
    )
    return (_typed(typed.strip()), "") if typed.strip() else chosen


def _typed(text: str) -> str:
    return str(Reference("typed", {"text": text}))


def classes(facts: choices.Answer | None) -> list[str]:
    """Return the classes that can be asked about."""
    import json

    names = json.loads(facts.attrs.get("labels", "[]")) if facts is not None else []
    return [TOP, *dict.fromkeys(map(str, names))]


def offer(error: HomologError) -> None:
    """Say why there is nothing to see, and where there is."""
    st.info(plain(f"{error.problem} {error.remedy}".strip()), icon=":material/info:")
    with st.container(horizontal=True):
        st.page_link(
            "attention.py",
            label="Look at Objects ViT with objects",
            icon=":material/visibility:",
            query_params={"network": "bundled:objects_vit", "stimuli": "objects"},
        )
        st.page_link(
            "attention.py",
            label="Read a text with the agreement transformer",
            icon=":material/article:",
            query_params={"network": "bundled:tiny_text"},
        )


def show(spec: AttentionSpec) -> None:
    """Draw the verdict, the heads, and what stands behind them."""
    answer = answers.ask(spec, height=520, refused=offer)
    if answer is None:
        return
    st.markdown(f"**{plain(figure.verdict(answer))}**")
    answers.cautions(answer)
    st.caption(plain(figure.short_caveat(answer)))
    if figure.unread(answer):
        st.info(plain(figure.unread_words(answer)), icon=":material/info:")
    draw = attention_views.texts if figure.is_text(answer) else attention_views.pictures
    draw(spec, answer)
    attention_views.details(spec, answer)
    choices.next_steps(
        ("predictions.py", "See what the network says of the stimuli", ":material/label:"),
        ("brain.py", "Compare its layers with a brain", ":material/neurology:"),
    )


question = choose()
if question is not None:
    show(question)
