"""The controls and tabs of the Attributions page."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from dashboard import compute, jobs, reference, store
from dashboard.errors import HomologError, unknown
from dashboard.figures import attribution as figure
from dashboard.figures import trust as trust_figure
from dashboard.figures.alternative import alt_text
from dashboard.methods.attribution import METHODS, costs
from dashboard.specs import AttributionMethodsSpec, AttributionSetSpec, AttributionSpec, Spec, TrustSpec
from dashboard.ui import answers, attribution_layer, attribution_set, charts, choices, panel, tables
from dashboard.ui.components.overlay import overlay_view
from dashboard.ui.text import plain

LONG_SECONDS = 5.0
"""What is expected to take longer starts only when somebody says so."""

FIRST = {
    "image": ("integrated-gradients", "grad-cam", "occlusion"),
    "text": ("integrated-gradients", "ablation"),
    "table": ("deepshap", "kernel-shap"),
}
"""Methods shown at first, by what the network reads."""

EXACT = "linear-shap"
"""Shown before them where a network is linear: the SHAP values themselves, for the price of one gradient."""

MOST_CLASSES, MOST_PICTURES, MOST_OVER_SET = 6, 24, 512
OVER, THROUGH, OWN = "Over the set", "Through a layer", "its own class"

BASELINES = {
    "mean": "the mean colour of the stimulus set",
    "black": "black",
    "blur": "the picture itself, strongly blurred",
    "noise": "uniform noise, several draws",
    "samples": "other stimuli of the set",
}


# --- controls --------------------------------------------------------------------------------------


def item(shown: choices.Answer | None) -> str:
    """Choose the stimulus that is explained."""
    names = [str(v) for v in shown.stimulus.values] if shown is not None else []
    found = st.selectbox(
        "Stimulus",
        names,
        key="items",
        bind="query-params",
        accept_new_options=not names,
        help="The one whose answer is explained. Type to search its name.",
        width=220,
    )
    return str(found or "")


def target(network: str, stimuli: str, name: str) -> str:
    """Choose what is explained: a class, a difference of two, or a unit."""
    plainly = answers.peek(AttributionMethodsSpec(network=network, stimuli=stimuli, item=name))
    classes = figure.classes(plainly) if plainly is not None else []
    # What a link names need not be a class: it is an option like any other.
    asked = st.session_state.get("target") or st.query_params.get("target")
    found = st.selectbox(
        "Target",
        list(dict.fromkeys(["top", "true", *classes, *([str(asked)] if asked else [])])),
        key="target",
        bind="query-params",
        accept_new_options=True,
        help="What is explained. top: the likeliest class; true: the known one; or any class. Type A − B for "
        "what tells two classes apart, or LAYER:UNIT, such as block3:7, for why a unit inside fires.",
        width=200,
    )
    return str(found or "top")


def kind(network: str, stimuli: str, name: str) -> str:
    """Return what is explained, image, text or table; before that is known, as the network's kind says."""
    known = answers.peek(AttributionMethodsSpec(network=network, stimuli=stimuli, item=name))
    return str(known.attrs["input_kind"]) if known is not None else choices.reads(network)


def baseline(kind: str, shown: choices.Answer | None) -> str:
    """Choose what stands for nothing there; of texts it is always the neutral token.

    SHAP values of a table are meant against other stimuli: there these are the default.
    """
    if kind == "text":
        return "mean"
    many = shown is not None and shown.sizes["stimulus"] > AttributionSpec.background
    default = "samples" if kind == "table" and many else "mean"
    before = st.session_state.get("_baseline_default", default)
    if before != default and st.session_state.get("baseline") == before:
        st.session_state["baseline"] = default
    st.session_state["_baseline_default"] = default
    return choices.pick(
        "baseline",
        "Baseline",
        list(BASELINES),
        default=default,
        help='What stands for "nothing there"; it decides what can count as evidence. '
        + "; ".join(f"{name}: {words}" for name, words in BASELINES.items())
        + ".",
    )


def more(kind: str) -> dict[str, Any]:
    """Draw the settings that are rarely touched, and only those that do something for such stimuli."""
    helped = "Score, steps, samples, seed and what else methods use."
    with st.popover("More", icon=":material/tune:", help=helped):
        found: dict[str, Any] = {
            "score": choices.pick(
                "score",
                "Score",
                ["logit", "probability"],
                help="logit: evidence for the class itself. probability: evidence against others, too.",
            ),
            "steps": choices.number(
                "steps",
                "Steps",
                50,
                low=2,
                high=1000,
                help="Points on the way from the baseline (integrated gradients); more: the sum fits better.",
            ),
            "samples": choices.number(
                "samples",
                "Samples",
                50,
                low=2,
                high=10_000,
                help="Random draws of sampled methods; twice as many: errors smaller by a third.",
            ),
        }
        if kind != "text":
            found |= _background()
        if kind == "image":
            found |= _pieces()
        found["seed"] = choices.number(
            "seed", "Seed", 0, low=0, high=10**6, help="Another seed draws other samples and baselines."
        )
    return found


def _background() -> dict[str, Any]:
    return {
        "background": choices.number(
            "background",
            "Baselines",
            10,
            low=1,
            high=200,
            help="How many baselines are averaged over, for noise and samples; more: steadier, slower.",
        )
    }


def _pieces() -> dict[str, Any]:
    """Draw what changes the pieces of a picture that are switched, and where maps are read."""
    found: dict[str, Any] = {
        "segments": choices.pick(
            "segments",
            "Segments",
            ["auto", "grid", "slic", "patches"],
            help="What perturbation methods switch. auto: patches of a transformer, else a grid; "
            "slic: superpixels that follow edges.",
        ),
        "pieces": choices.number(
            "pieces",
            "Number of segments",
            50,
            low=2,
            high=400,
            help="About how many segments grid and slic cut; more: finer, slower.",
        ),
        "window": choices.number(
            "window",
            "Window",
            0,
            low=0,
            high=512,
            help="Side of the occluding window in pixels of the network's input; 0: an eighth of it.",
        ),
    }
    layer = st.text_input(
        "Layer",
        key="layer",
        bind="query-params",
        placeholder="the method's own choice",
        help="Layer that class activation maps read; empty: the last one that still keeps places.",
    )
    return {**found, "layer": str(layer or "").strip()}


def methods(about: choices.Answer | None) -> list[str]:
    """Choose the methods; those that cannot work here are told below the maps."""
    kind = str(about.attrs["input_kind"]) if about is not None else "image"
    refused = figure.refused(about) if about is not None else {}
    usual = usual_methods(kind, None if about is None else refused)
    _apart()
    given = st.multiselect(
        "Methods",
        list(METHODS),
        key="method",
        bind="query-params",
        format_func=lambda name: METHODS[name].label if name in METHODS else name,
        accept_new_options=True,
        max_selections=8,
        placeholder=", ".join(METHODS[name].label for name in usual),
        help="Maps are drawn side by side. Empty: "
        + ", ".join(METHODS[name].label for name in usual)
        + ". The tab Methods says what each map means and which cannot work on this network.",
    )
    for name in given:
        if name not in METHODS:
            answers.problem(unknown("attribution method", str(name), METHODS))
    names = [name for name in given if name in METHODS]
    return list(dict.fromkeys(name for name in (names or usual) if name not in refused))


def usual_methods(kind: str, refused: Mapping[str, str] | None) -> list[str]:
    """Return the methods that are drawn when none is chosen.

    Parameters
    ----------
    kind : "image", "text" or "table"
    refused : mapping, optional
        Methods that cannot work on the network, with the reason; None before that is known.
    """
    exact = [EXACT] if refused is not None and EXACT not in refused else []
    return [*exact, *(name for name in FIRST[kind] if name not in (refused or {}))]


def _apart() -> None:
    """Make separate choices of the methods that a link joins by commas."""
    given = st.session_state.get("method") or st.query_params.get_all("method")
    if any("," in str(text) for text in given):
        st.session_state["method"] = [part for text in given for part in str(text).split(",") if part]


def scaling(kind: str) -> figure.Scaling:
    """Choose the scale of maps side by side; of words and features, each has its own."""
    if kind != "image":
        return "each"
    each = "each map's own"
    found = choices.pick(
        "scale",
        "Scale",
        [each, "score units"],
        help="each map's own: every map by its strong values (99.5th percentile), for comparing places. "
        "score units: maps in units of the score share one scale, for comparing sizes.",
    )
    return "each" if found == each else "score"


# --- asking ----------------------------------------------------------------------------------------


def relevant(question: AttributionSpec, name: str) -> dict[str, Any]:
    """Return method and settings, all that the method does not use at its default: one map, one key."""
    used = set(METHODS[name].settings)
    many = "baseline" in used and question.baseline in ("noise", "samples")
    wanted = {
        "baseline": "baseline" in used,
        "background": many,
        "steps": "steps" in used,
        "samples": "samples" in used,
        "noise": "noise" in used,
        "segments": "segments" in used,
        "pieces": "segments" in used and question.segments in ("grid", "slic"),
        "window": "window" in used,
        "layer": "layer" in used,
        "seed": "seed" in used or many,
    }
    defaults = {f.name: f.default for f in dataclasses.fields(AttributionSpec)}
    kept = {key: getattr(question, key) if on else defaults[key] for key, on in wanted.items()}
    return {"method": name, **kept}


def question_for(question: AttributionSpec, name: str) -> AttributionSpec:
    """Return the question that one method answers."""
    return question.replace(**relevant(question, name))


def about(question: AttributionSpec) -> AttributionMethodsSpec:
    """Return the question which methods work here."""
    return AttributionMethodsSpec(
        network=question.network,
        stimuli=question.stimuli,
        item=question.items[0] if question.items else "",
        target=question.target,
        score=question.score,
    )


def seconds(spec: AttributionSpec, known: choices.Answer) -> tuple[float, float]:
    """Return forward passes and seconds that a map is expected to take."""
    height, width = int(known.attrs["height"]), int(known.attrs["width"])
    image = known.attrs["input_kind"] == "image"
    window = spec.window or max(1, min(height, width) // 8)
    small = height * width
    work = costs.Work(
        steps=spec.steps,
        samples=spec.samples,
        baselines=spec.background if spec.baseline in ("noise", "samples") else 1,
        windows=costs.windows(height, width, window, max(1, window // 2)) if image else small,
        pieces=min(small, max(64, spec.pieces)) if image else small,
    )
    passes = costs.passes(spec.method, work) * max(1, len(spec.items))
    return passes, passes * float(known.attrs["pass_seconds"])


def ask_all(specs: Sequence[AttributionSpec], known: choices.Answer, key: str = "") -> list[choices.Answer]:
    """Return the answers that are there; what is missing is started, or waits for a word if it takes long."""
    going = [spec for spec in specs if _may_start(spec, known, key)]
    for spec in going:
        try:
            jobs.engine().submit(spec)
        except HomologError:
            break  # told where the answer is asked for
    found = [answers.ask(spec, height=160) for spec in going]
    return [answer for answer in found if answer is not None]


def _may_start(spec: AttributionSpec, known: choices.Answer, key: str) -> bool:
    """Say whether a map is there, cheap or wanted; else draw its price and a button."""
    try:
        name = compute.key(spec)
        if store.default().open(name) is not None or jobs.engine().job(name) is not None:
            return True
    except HomologError:
        return True
    passes, expected = seconds(spec, known)
    if expected <= LONG_SECONDS:
        return True
    with st.container(horizontal=True, vertical_alignment="center"):
        label = METHODS[spec.method].label
        many = f" of {len(spec.items)} stimuli" if len(spec.items) > 1 else ""
        st.markdown(
            f"{label}{many}: {passes:,.0f} forward passes, about {_duration(expected)}.", width="content"
        )
        return st.button(
            "Start", key=f"start-{key}{name[:12]}", icon=":material/play_arrow:", help="Compute this map."
        )


def _duration(expected: float) -> str:
    if expected < 90:
        return f"{expected:.0f} s"
    return f"{expected / 60:.0f} min" if expected < 5400 else f"{expected / 3600:.1f} h"


# --- below the maps --------------------------------------------------------------------------------


def refusals(known: choices.Answer) -> None:
    """Say of the usual and of the chosen methods which cannot work here, and why."""
    refused = figure.refused(known)
    asked = [part for text in st.session_state.get("method") or () for part in str(text).split(",")]
    wanted = asked or FIRST[str(known.attrs["input_kind"])]
    lines = [f"- **{METHODS[name].label}**: {plain(refused[name])}" for name in wanted if name in refused]
    if lines:
        st.info("\n".join(["Not drawn:", *lines]), icon=":material/block:")


def details(question: AttributionSpec, maps: Sequence[choices.Answer], known: choices.Answer) -> None:
    """Draw what else there is to see, in tabs; only the open one asks for anything."""
    kinds = {
        "image": [
            "Trust",
            "Classes",
            "Networks",
            "Pictures",
            OVER,
            THROUGH,
            "Agreement",
            "Numbers",
            "Methods",
        ],
        "text": ["Trust", "Classes", "Networks", OVER, THROUGH, "Numbers", "Methods"],
        "table": ["Trust", OVER, THROUGH, "Numbers", "Methods"],
    }
    names = kinds[str(known.attrs["input_kind"])]
    for name, tab in zip(
        names, st.tabs(names, key="about", on_change="rerun", bind="query-params"), strict=True
    ):
        if tab.open:
            with tab:
                _TABS[name](question, maps, known)


def _first(question: AttributionSpec, maps: Sequence[choices.Answer]) -> AttributionSpec:
    return question_for(question, str(maps[0].attrs["method"]))


def _one_method(maps: Sequence[choices.Answer], key: str) -> str:
    """Choose among the methods that are drawn."""
    names = [str(answer.attrs["method"]) for answer in maps]
    labels = {METHODS[name].label: name for name in names}
    found = choices.pick(key, "Method", list(labels), help="Which of the methods above is compared here.")
    return labels.get(found, names[0])


ICONS = {
    "good": ":material/check_circle:",
    "amber": ":material/warning:",
    "red": ":material/error:",
    "grey": ":material/help:",
    "": ":material/info:",
}


def _trust(question: AttributionSpec, maps: Sequence[choices.Answer], known: choices.Answer) -> None:
    name = _one_method(maps, "trust_method")
    spec = TrustSpec(attribution=question_for(question, name))
    expected = trust_figure.maps_needed(name, spec.seeds) * seconds(spec.attribution, known)[1]
    if not _wanted(spec, expected, f"The checks of {METHODS[name].label}"):
        return
    answer = answers.ask(spec, height=320)
    if answer is None:
        return
    st.markdown(f"**{plain(trust_figure.verdict(answer))}**")
    answers.cautions(answer)
    for row in trust_figure.rows(answer):
        words = f"{ICONS[row.level]} **{row.name}** ({row.word}): {plain(row.sentence)}"
        st.markdown(words, help=f"Source: {plain(row.source)}")
    if "score" in answer:
        chart = trust_figure.curves_chart(answer, dark=choices.dark())
        st.altair_chart(chart, width="content", key="trust-curves", theme=None, alt=trust_figure.alt(answer))
    if "likeness" in answer:
        words = next(row.sentence for row in trust_figure.rows(answer) if row.name == "Cascade")
        charts.draw(
            answer,
            "trust-cascade",
            lambda dark: trust_figure.cascade_chart(answer, dark=dark),
            width="content",
            alt=words,
        )
        st.caption(
            "A map that shows what was learned loses its likeness on the way down. Weights are drawn as "
            "before training (cascading randomisation; Adebayo et al., 2018); the network stays as it is."
        )
    panel.footer(answer, spec, lambda: trust_figure.curves_chart(answer, width=240), name="trust")


def _wanted(spec: Spec, expected: float, what: str) -> bool:
    """Say whether an answer is there, cheap or asked for; else draw its price and a button."""
    try:
        name = compute.key(spec)
        if store.default().open(name) is not None or jobs.engine().job(name) is not None:
            return True
    except HomologError:
        return True
    if expected <= LONG_SECONDS:
        return True
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"{what} take about {_duration(expected)}.", width="content")
        return st.button(
            "Start", key=f"start-{name[:12]}", icon=":material/play_arrow:", help="Compute the checks."
        )


def _classes(question: AttributionSpec, maps: Sequence[choices.Answer], known: choices.Answer) -> None:
    likely = figure.likeliest(maps[0])
    if len(likely) < 2:
        st.caption("This network does not choose between classes.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        spec = question_for(question, _one_method(maps, "classes_method"))
        chosen = st.multiselect(
            "Classes",
            list(dict.fromkeys([*likely, *figure.classes(known)])),
            default=likely[:3],
            key="classes",
            max_selections=MOST_CLASSES,
            help="One map for each, on one scale. Maps that are alike do not tell why this class.",
        )
    found = ask_all([spec.replace(target=name) for name in chosen], known, "classes")
    if len(found) > 1 or (found and len(chosen) == 1):
        titles = [str(answer["target"].values[0]) for answer in found]
        _compare(found, titles, "classes-view")
        st.markdown(plain(figure.sameness_words(found, titles)))


def _networks(question: AttributionSpec, maps: Sequence[choices.Answer], known: choices.Answer) -> None:
    twin = reference.untrained(question.network)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        spec = question_for(question, _one_method(maps, "networks_method"))
        options = list(dict.fromkeys([twin, *OTHERS.get(question.network, ())]))
        other = st.selectbox(
            "Other network",
            options,
            key="other",
            bind="query-params",
            accept_new_options=True,
            help="The untrained twin: what it shows too is no merit of training. Any reference will do.",
        )
    fixed = (
        figure.likeliest(maps[0])[0] if spec.target == "top" and figure.likeliest(maps[0]) else spec.target
    )
    pair = [spec, spec.replace(network=str(other or twin), target=fixed)]
    found = ask_all(pair, known, "networks")
    if len(found) == 2:
        _compare(found, [str(answer.attrs["network_title"]) for answer in found], "networks-view", each=True)
        st.markdown(plain(figure.sameness_words(found, [str(a.attrs["network_title"]) for a in found])))
        st.caption("Each map by its own strong values: the scores of two networks have different sizes.")


OTHERS = {
    "bundled:objects_cnn": ("bundled:objects_vit",),
    "bundled:objects_vit": ("bundled:objects_cnn",),
}


def _compare(found: Sequence[choices.Answer], titles: Sequence[str], key: str, *, each: bool = False) -> None:
    """Draw maps side by side: over the picture, or as coloured words."""
    if found[0].attrs["input_kind"] == "text":
        from dashboard.ui.components.words import words_view

        rows = [
            dataclasses.replace(row, title=title)
            for row, title in zip(figure.token_rows(found), titles, strict=True)
        ]
        words_view(rows, key=key, label=", ".join(titles))
        return
    panels = (
        [figure.panel(ds, title=title) for ds, title in zip(found, titles, strict=True)]
        if each
        else figure.compared(found, titles)
    )
    bare = figure.bare(found[0])
    overlay_view([*bare, *panels], key=key, label=", ".join(titles))


def _pictures(question: AttributionSpec, maps: Sequence[choices.Answer], known: choices.Answer) -> None:
    shown = choices.pictures(question.stimuli)
    if shown is None:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        spec = question_for(question, _one_method(maps, "pictures_method"))
        count = choices.number(
            "count", "Pictures", 8, low=2, high=MOST_PICTURES, help="How many, spread evenly over the set."
        )
    names = [str(v) for v in shown.stimulus.values]
    step = max(1, len(names) // count)
    found = ask_all([spec.replace(items=tuple(names[::step][:count]))], known, "pictures")
    if found:
        answer = found[0]
        items = [str(v) for v in answer.item.values]
        titles = [f"{name}: {words}" for name, words in zip(items, figure.short_targets(answer), strict=True)]
        overlay_view(
            figure.compared([answer] * len(items), titles, items),
            key="pictures-view",
            label=alt_text(answer),
            widest=220,
            narrowest=140,
        )
        panel.footer(
            answer, spec.replace(items=tuple(items)), lambda: figure.all_items_chart(answer), name="pictures"
        )


def _over_set(question: AttributionSpec, maps: Sequence[choices.Answer], known: choices.Answer) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        own = question_for(question, _one_method(maps, "set_method")).replace(items=())
        most = choices.number(
            "most", "Stimuli", 24, low=2, high=MOST_OVER_SET, help="How many, spread evenly over the set."
        )
        target = choices.pick(
            "set_target",
            "Target over the set",
            [OWN, "true", *figure.classes(known)],
            help="What is explained of every stimulus: its own likeliest class, its true one, or one class.",
        )
    chosen = "top" if target == OWN else target
    spec = AttributionSetSpec(attribution=own.replace(target=chosen), most=most)
    if ":" in question.target:  # a unit inside is the same for every stimulus
        spec = spec.replace(attribution=own)
    if _wanted(spec, most * seconds(own, known)[1], f"{METHODS[own.method].label} of {most} stimuli"):
        answer = answers.ask(spec, height=420)
        if answer is not None:
            attribution_set.show(answer, spec)


def _agreement(question: AttributionSpec, maps: Sequence[choices.Answer], known: choices.Answer) -> None:
    if len(maps) < 2:
        st.caption("Choose two methods or more above to see how well they agree.")
        return
    chart = figure.agreement_chart(maps, dark=choices.dark())
    st.altair_chart(chart, width="content", key="agreement", theme=None, alt=figure.agreement_words(maps))
    st.markdown(plain(figure.agreement_words(maps)))
    st.caption(
        "Spearman rank correlation of |values| over the places of the picture. Methods that share a step, "
        "such as the product with the picture, agree for that reason alone."
    )


def _numbers(question: AttributionSpec, maps: Sequence[choices.Answer], known: choices.Answer) -> None:
    name = _one_method(maps, "numbers_method")
    answer = next(found for found in maps if str(found.attrs["method"]) == name)
    level, sentence = figure.completeness_words(answer)
    st.markdown(plain(f"{METHODS[name].sentence} {sentence}"))
    left, right = st.columns([3, 2], gap="medium")
    with left:
        chart = figure.bars(answer, dark=choices.dark())
        st.altair_chart(chart, key="numbers-bars", theme=None, alt=figure.alt(answer))
    with right:
        tables.draw(figure.parts(answer), alt=figure.alt(answer))
    panel.footer(answer, question_for(question, name), lambda: figure.bars(answer, width=480), name="numbers")


def _methods(question: AttributionSpec, maps: Sequence[choices.Answer], known: choices.Answer) -> None:
    st.dataframe(
        figure.refusal_table(known),
        hide_index=True,
        alt="Attribution methods: whether each works on this network, or why not",
    )


_TABS = {
    "Trust": _trust,
    "Classes": _classes,
    "Networks": _networks,
    "Pictures": _pictures,
    OVER: _over_set,
    THROUGH: attribution_layer.show,
    "Agreement": _agreement,
    "Numbers": _numbers,
    "Methods": _methods,
}
