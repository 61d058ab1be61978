"""A recording that somebody brings: what was found, the questions that are left, a live check, a preview."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Mapping
from typing import Any

import streamlit as st
import xarray as xr

from dashboard import kept, stimuli
from dashboard.errors import HomologError
from dashboard.recordings import readers
from dashboard.recordings.guesses import by_name
from dashboard.recordings.readers.source import OVER_TIME
from dashboard.recordings.recipe import AXES, CHOICES, Axis, Form, Recipe, from_dict
from dashboard.specs import InspectSpec
from dashboard.ui import answers, choices
from dashboard.ui.adding import files, inspected, open_data, session
from dashboard.ui.text import plain

NONE = "(none)"
FORMS: tuple[Form, ...] = typing.get_args(Form)
ENDINGS = list(dict.fromkeys(e for f in readers.FORMATS.values() for e in f.endings))
HELP = (
    "One or several files: "
    + "; ".join(
        f"{f.title} ({', '.join('.' + e for e in f.endings)}): {f.note}" for f in readers.FORMATS.values()
    )
    + ". Files that can run code when opened are refused."
)
INVITATION = (
    "Drop the responses of a recording: an array of stimuli × units, a table, or RDMs. A second file or "
    "array with the names of the stimuli lets them be matched with pictures by name. Brain images (NIfTI) "
    "come with a mask or labels, and a table with a row per volume."
)


def show() -> None:
    """Draw the way of a recording from files to the pickers."""
    open_data.show()
    taken = files.look("recording", ENDINGS, HELP, INVITATION, height=240)
    if taken is None:
        return
    upload, found = taken
    _found(found)
    recipe = _questions(upload, found)
    if recipe is not None:
        _tried(upload, recipe)


def _found(found: Mapping[str, Any]) -> None:
    """Show what is in the files."""
    st.header("What was found")
    arrays = found["arrays"]
    st.markdown(f"{plain(found['format'])} with {len(arrays)} array{'s' if len(arrays) != 1 else ''}.")
    for note in found["notes"]:
        st.caption(plain(note))
    rows = [
        {
            "array": a["name"],
            "shape": " × ".join(map(str, a["shape"])) or "1",
            "holds": a["kind"],
            "axes": ", ".join(a["dims"]),
            "note": a["note"],
        }
        for a in arrays[:200]
    ]
    st.dataframe(rows, hide_index=True, height=min(38 * (len(rows) + 1), 240), alt="Arrays in the files")


def _questions(upload: str, found: Mapping[str, Any]) -> Recipe | None:
    """Ask what the files do not say, with the guess as the answer, and return the recipe."""
    given = st.session_state.get(f"recipe-{upload}") or found["recipe"]
    guess = from_dict(given)
    key = f"{upload[7:15]}-{st.session_state.get(f'recipe-count-{upload}', 0)}"
    st.header("What is what?")
    arrays = {a["name"]: a for a in found["arrays"]}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        form = st.selectbox(
            "These are",
            FORMS,
            index=FORMS.index(guess.form),
            key=f"form-{key}",
            format_func={"responses": "responses", "rdms": "dissimilarities (RDMs)"}.__getitem__,
            help="Responses of units to stimuli, or RDMs that somebody computed from them.",
            width=220,
        )
        values = st.multiselect(
            "Arrays with the numbers",
            [n for n, a in arrays.items() if a["kind"] == "number"],
            default=[v for v in guess.values if v in arrays],
            key=f"values-{key}",
            help="Several arrays of the same stimuli are areas, or subjects if you say so under More.",
        )
    axes = _axes(key, values, arrays, guess)
    answered = _columns(key, guess, found)
    table = found["format"].startswith(("CSV", "Parquet"))
    if table or "time" in axes:
        binned = any(name.endswith(OVER_TIME) for name in values)
        answered |= _time(key, guess, _labels(found), binned)
    answered |= _decisions(key, guess, found)
    _recipe_file(upload, guess)
    try:
        return dataclasses.replace(guess, form=form, values=tuple(values), axes=axes, **answered)
    except HomologError as error:
        answers.problem(error)
        return None


def _axes(key: str, values: list[str], arrays: Mapping[str, Any], guess: Recipe) -> tuple[Axis, ...]:
    """Ask what each axis of the first array counts."""
    if not values:
        return ()
    shape, dims = arrays[values[0]]["shape"], arrays[values[0]]["dims"]
    kinds = typing.get_args(Axis)
    axes = []
    with st.container(horizontal=True):
        for i, n in enumerate(shape):
            named = by_name(dims[i]) if len(dims) == len(shape) else None
            told = guess.axes[i] if len(guess.axes) == len(shape) and values == list(guess.values) else named
            usual = told or (guess.axes[i] if len(guess.axes) == len(shape) else kinds[min(i, 1)])
            axes.append(
                st.selectbox(
                    f"Axis {i + 1} ({n:,}) counts",
                    kinds,
                    index=kinds.index(usual),
                    key=f"axis-{key}-{values[0]}-{i}",
                    help="; ".join(f"{name}: {meaning}" for name, meaning in AXES.items()) + ".",
                    width=190,
                )
            )
    return tuple(axes)


def _columns(key: str, guess: Recipe, found: Mapping[str, Any]) -> dict[str, Any]:
    """Ask which arrays name stimuli, areas and subjects, and which pictures were shown."""
    labels = _labels(found)
    answered: dict[str, Any] = {}

    def column(name: str, label: str, text: str) -> None:
        answered[name] = _column(key, guess, labels, name, label, text)

    with st.container(horizontal=True, vertical_alignment="bottom"):
        column("names", "Names of the stimuli", "They are matched with pictures by name, never by position.")
        answered["stimuli"] = _pictures(key, guess)
        answered["title"] = st.text_input(
            "Title",
            guess.title,
            key=f"title-{key}",
            help="What the recording is called in pickers.",
            width=220,
        )
    with st.expander("More: areas, subjects, long tables, time window", icon=":material/tune:"):
        with st.container(horizontal=True):
            column("area", "Area of each unit", "An array with one text per unit.")
            column("subject", "Subject", "An array with the subject of each row, unit or place on that axis.")
            column("unit", "Unit (long table)", "The column that names the unit of each row.")
            column("repeat", "Repeat (long table)", "The column that counts repeats.")
        with st.container(horizontal=True):
            answered["area_name"] = st.text_input(
                "Area", guess.area_name, key=f"area-name-{key}", help="Where no array tells it.", width=220
            )
            answered["each"] = _choice(key, guess, "each", "Several arrays are")
            answered["columns"] = tuple(
                st.multiselect(
                    "Facts about the stimuli",
                    labels,
                    default=[c for c in guess.columns if c in labels],
                    key=f"columns-{key}",
                    help="Columns that can be decoded, such as an orientation.",
                )
            )
        with st.container(horizontal=True):
            for name, label in (("start", "Window from"), ("stop", "Window to")):
                answered[name] = st.number_input(
                    label,
                    value=getattr(guess, name),
                    key=f"{name}-{key}",
                    format="%g",
                    placeholder="the whole",
                    help="Samples, or times of a table, counted from 0; for NWB seconds from the start of a "
                    "presentation.",
                    width=160,
                )
            for name in ("species", "signal", "citation", "terms"):
                answered[name] = st.text_input(
                    name.capitalize(),
                    getattr(guess, name),
                    key=f"{name}-{key}",
                    width=180,
                    help="Stands in the record of every answer.",
                )
    return answered


def _labels(found: Mapping[str, Any]) -> list[str]:
    """Return the arrays that can hold one entry per row, unit or time."""
    return [a["name"] for a in found["arrays"] if len(a["shape"]) == 1 and a["kind"] in ("text", "number")]


def _column(key: str, guess: Recipe, labels: list[str], name: str, label: str, text: str) -> str:
    """Ask which array tells something; "" for none."""
    options = [NONE, *labels]
    usual = getattr(guess, name)
    index = options.index(usual) if usual in options else 0
    chosen = st.selectbox(label, options, index=index, key=f"{name}-{key}", help=text, width=220)
    return "" if chosen == NONE else chosen


def _time(key: str, guess: Recipe, labels: list[str], binned: bool) -> dict[str, Any]:
    """Ask which column or array tells the time, its unit, and what is kept of it.

    Who chooses an array that the reader puts into time bins (`binned`) wants the course.
    """
    usual = dataclasses.replace(guess, course="keep") if binned else guess
    with st.container(horizontal=True, vertical_alignment="bottom"):
        return {
            "time": _column(
                key,
                guess,
                labels,
                "time",
                "Time of each row",
                "Of a table: the column that tells when each row was measured, from the start of the "
                "stimulus. The table may be long, or have a column per unit.",
            ),
            "times": _column(
                key,
                guess,
                labels,
                "times",
                "Times of a time axis",
                "Of an array: the array with one time per place on its time axis.",
            ),
            "time_unit": _choice(key, guess, "time_unit", "Times are in", 160),
            "course": _choice(f"{key}{'-binned' * binned}", usual, "course", "Over time", 320),
            "bin_ms": st.number_input(
                "Time bins (ms)",
                value=guess.bin_ms,
                min_value=0.001,
                key=f"bin_ms-{key}",
                format="%g",
                placeholder="as in the file",
                help="Width of the bins that times are averaged in, edges at multiples of it. Spikes of NWB "
                "units are counted in bins of this width, of 10 ms where it is empty.",
                width=160,
            ),
        }


def _pictures(key: str, guess: Recipe) -> str:
    """Ask which stimuli were shown."""
    known = [entry.reference for entry in stimuli.choices()]
    options = list(dict.fromkeys([NONE, *session.added("stimuli"), *known, *filter(None, [guess.stimuli])]))
    chosen = st.selectbox(
        "Pictures that were shown",
        options,
        index=options.index(guess.stimuli) if guess.stimuli else 0,
        key=f"stimuli-{key}",
        format_func=session.label,
        accept_new_options=True,
        help="Add them as pictures first. Without them there is nothing to show a network.",
        width=260,
    )
    return "" if chosen in (NONE, None) else str(chosen)


def _choice(key: str, guess: Recipe, name: str, label: str, width: int = 320) -> Any:
    options = list(CHOICES[name])
    return st.selectbox(
        label,
        options,
        index=options.index(getattr(guess, name)),
        key=f"{name}-{key}",
        format_func=CHOICES[name].__getitem__,
        help="; ".join(CHOICES[name].values()) + ".",
        width=width,
    )


def _decisions(key: str, guess: Recipe, found: Mapping[str, Any]) -> dict[str, Any]:
    """Ask what is done with what is not as it should be; nothing is done unsaid."""
    with st.container(horizontal=True):
        answered = {
            "repeats": _choice(key, guess, "repeats", "Stimuli that come several times"),
            "missing": _choice(key, guess, "missing", "Missing values"),
            "constant": _choice(key, guess, "constant", "Units that never change"),
        }
        if guess.form == "rdms" or st.session_state.get(f"form-{key}") == "rdms":
            answered["similarity"] = _choice(key, guess, "similarity", "The numbers")
        if found["format"].startswith("NIfTI"):
            answered["grid"] = _choice(key, guess, "grid", "Labels on another grid")
        if guess.decimal == ",":
            answered["decimal"] = st.selectbox(
                "Decimal sign", [",", "."], key=f"decimal-{key}", help="As in the file.", width=160
            )
    return answered


def _recipe_file(upload: str, guess: Recipe) -> None:
    """Take a recipe that was exported."""
    with st.expander("Use a recipe that was exported", icon=":material/receipt_long:"):
        st.file_uploader(
            "Recipe (JSON)",
            type=["json"],
            key=f"recipe-file-{upload[7:15]}",
            on_change=_take_recipe,
            args=(upload,),
            help="Answers to these questions for files of the same layout.",
        )
        error = st.session_state.get(f"recipe-problem-{upload}")
        if error is not None:
            answers.problem(error)


def _take_recipe(upload: str) -> None:
    state = st.session_state
    file = state.get(f"recipe-file-{upload[7:15]}")
    state.pop(f"recipe-problem-{upload}", None)
    if file is None:
        return
    try:
        given = read_recipe(file.getvalue())
        state[f"recipe-{upload}"] = given
        state[f"recipe-count-{upload}"] = state.get(f"recipe-count-{upload}", 0) + 1
    except HomologError as error:
        state[f"recipe-problem-{upload}"] = error


def read_recipe(data: bytes) -> dict[str, Any]:
    """Return the recipe in a JSON file.

    Raises
    ------
    InputError
        When it is none.
    """
    try:
        given = json.loads(data[: 2**20].decode("utf-8"))
    except (ValueError, RecursionError):
        given = None
    return from_dict(given).to_dict()


def _tried(upload: str, recipe: Recipe) -> None:
    """Read the recording with these answers, show what comes of it, and offer to add it."""
    st.header("Does it fit?")
    try:
        reference = kept.with_recipe(upload, recipe.to_dict()).reference
    except HomologError as error:
        answers.problem(error)
        return
    answer = answers.ask(InspectSpec(recording=reference), height=360)
    if answer is None:
        return
    title = recipe.title or session.label(reference)
    with st.container(horizontal=True):
        added = reference in session.added("recording")
        st.button(
            "Added" if added else "Add this recording",
            type="primary",
            icon=":material/check:" if added else ":material/add:",
            disabled=added,
            on_click=session.add,
            args=("recording", reference, title),
            help="Puts it into the pickers of this session. Who has a link to it can open it, too.",
        )
        st.download_button(
            "Export the recipe",
            json.dumps(recipe.to_dict(), indent=1, ensure_ascii=False),
            file_name="recipe.json",
            mime="application/json",
            icon=":material/receipt_long:",
            help="For files of the same layout, here or on the command line.",
        )
    preview(answer, reference)
    if added:
        choices.next_steps(
            ("brain.py", "Compare a network with it", ":material/neurology:"),
            ("decoding.py", "Read stimuli out of it", ":material/psychology:"),
        )


def preview(answer: xr.Dataset, reference: str) -> None:
    """Show what was read: words, cautions, heat map, reliability."""
    answers.cautions(answer)
    inspected.show(answer, InspectSpec(recording=reference))
