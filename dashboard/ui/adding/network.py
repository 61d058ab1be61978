"""A network that somebody brings: what was found, the architecture that fits, class names, a live check."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboard import kept, networks
from dashboard.errors import HomologError
from dashboard.networks.uploaded import HF, LABEL_ENDINGS, SOURCES, WEIGHT_ENDINGS, Recipe, from_dict
from dashboard.specs import NetworkSpec
from dashboard.ui import answers, choices
from dashboard.ui.adding import files, session
from dashboard.ui.text import plain

ENDINGS = [*WEIGHT_ENDINGS, *LABEL_ENDINGS, "onnx", "h5", "keras", "pkl", "joblib", "npz", "zip"]
"""Taken by the page; what can run code is then refused in words, with the conversion to make."""

HELP = (
    "Weights as .safetensors, or as .pt, .pth or .ckpt with a state dict, in one file or in parts; beside "
    "them a list of class names (JSON, or a name per line). Or all files of a Hugging Face folder. Files "
    "that can run code when opened are refused."
)
INVITATION = (
    "Drop the weights of a network. Its architecture is recognised by the names and shapes of the weights, "
    "from those of torchvision, timm and this server."
)


def show() -> None:
    """Draw the way of a network from files to the pickers."""
    taken = files.look("network", ENDINGS, HELP, INVITATION, height=240)
    if taken is None:
        return
    upload, found = taken
    _found(found)
    recipe = _questions(upload, found)
    if recipe is not None:
        _tried(upload, recipe)


def _found(found: Mapping[str, Any]) -> None:
    """Say what is in the files, and which architectures fit."""
    st.header("What was found")
    st.markdown(plain(words(found)))
    if found["tables"] and found["tables"][0]["tensors"]:
        rows = [
            {
                "table": row["key"] or "(the file itself)",
                "tensors": row["tensors"],
                "numbers": row["numbers"],
                "stored as": row["stored"],
            }
            for row in found["tables"]
        ]
        st.dataframe(rows, hide_index=True, alt="Tables of weights in the files")


def words(found: Mapping[str, Any]) -> str:
    """Say in words which architecture fits."""
    if "hf" in found:
        return f"A Hugging Face folder of the type {found['hf']} with safetensors weights."
    names = list(dict.fromkeys(fit["architecture"] for fit in found["fits"]))
    if not names:
        return (
            "No architecture of torchvision, timm or this server has weights of exactly these names and "
            "shapes. "
            "Choose the one that they were trained with, and the check below tells what differs."
        )
    best = found["fits"][0]
    text = f"These are the weights of {names[0]}: every name and shape fits"
    text += f", with a head of {best['classes']} classes." if best["classes"] else "."
    if best["prefix"]:
        text += f' "{best["prefix"]}" is taken off the names.'
    if best["left_out"]:
        text += f" {len(best['left_out'])} other tensors in the file are left out."
    if len(names) > 1:
        text += (
            f" {len(names) - 1} more {'have' if len(names) > 2 else 'has'} the same shapes and may differ "
            "in what "
            "has no weights, such as an activation."
        )
    return text


def _questions(upload: str, found: Mapping[str, Any]) -> Recipe | None:
    guess = from_dict(found["recipe"])
    key = upload[7:15]
    if guess.architecture == HF:
        title = st.text_input("Title", "", key=f"net-title-{key}", help="What pickers call it.", width=260)
        return Recipe(architecture=HF, title=title)
    fitting = list(dict.fromkeys(fit["architecture"] for fit in found["fits"]))
    others = [
        entry.reference.partition("?")[0]
        for entry in networks.catalogue()
        if entry.reference.partition(":")[0] in SOURCES
    ]
    st.header("What is what?")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        architecture = st.selectbox(
            "Architecture",
            list(dict.fromkeys([*fitting, *others])),
            key=f"net-architecture-{key}",
            accept_new_options=True,
            help="Those that fit stand first. Any name of torchvision or timm can be typed.",
            width=260,
        )
        tables = [row["key"] for row in found["tables"]]
        table = guess.key
        if len(tables) > 1:
            table = st.selectbox(
                "Weights",
                tables,
                index=tables.index(guess.key) if guess.key in tables else 0,
                key=f"net-key-{key}",
                format_func=lambda name: name or "(the file itself)",
                help="Training programs keep several: the last ones, and a moving average (EMA).",
                width=200,
            )
        title = st.text_input("Title", "", key=f"net-title-{key}", help="What pickers call it.", width=220)
    fit = next((f for f in found["fits"] if (f["architecture"], f["key"]) == (architecture, table)), None)
    classes, prefix = (fit["classes"], fit["prefix"]) if fit else (guess.classes, guess.prefix)
    answered = _prepared(key, found, prefix, classes, fit is None)
    try:
        return from_dict(
            Recipe(
                architecture=str(architecture or ""),
                key=table,
                title=title,
                **answered,
            ).to_dict()
        )
    except HomologError as error:
        answers.problem(error)
        return None


def _prepared(key: str, found: Mapping[str, Any], prefix: str, classes: int, ask: bool) -> dict[str, Any]:
    """Ask how pictures are prepared and what the classes are called."""
    with st.expander("More: preparation of pictures, classes, prefix", icon=":material/tune:"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            crop = st.number_input(
                "Input size",
                0,
                4096,
                0,
                key=f"net-crop-{key}",
                width=140,
                help="Pixels of the square that the network sees; 0 for what the architecture is published "
                "with.",
            )
            resize = st.number_input(
                "Short side",
                0,
                4096,
                0,
                key=f"net-resize-{key}",
                width=140,
                help="Pixels of the short side before the crop; 0 for the usual 256 / 224 of the input size.",
            )
            mean = st.text_input(
                "Mean",
                "",
                key=f"net-mean-{key}",
                placeholder="0.485, 0.456, 0.406",
                width=200,
                help="Subtracted from each channel after division by 255; empty for the usual.",
            )
            std = st.text_input(
                "Deviation",
                "",
                key=f"net-std-{key}",
                placeholder="0.229, 0.224, 0.225",
                width=200,
                help="What each channel is divided by; empty for the usual.",
            )
        if ask:
            with st.container(horizontal=True):
                classes = st.number_input(
                    "Classes",
                    0,
                    100_000,
                    classes,
                    key=f"net-classes-{key}",
                    width=140,
                    help="Outputs of the head; 0 for what the architecture has.",
                )
                prefix = st.text_input(
                    "Prefix",
                    prefix,
                    key=f"net-prefix-{key}",
                    width=200,
                    help="What stands before every name in the file, such as module.",
                )
        st.caption(
            f"{found['labels']} class names came with the weights."
            if found["labels"]
            else "No class names came with the weights: drop a .json or .txt beside them, or ImageNet's are "
            "taken where there are 1000."
        )
    return {
        "prefix": prefix,
        "classes": 0 if classes == 1000 else int(classes),
        "crop": int(crop or 0),
        "resize": int(resize or 0),
        "mean": _three(mean),
        "std": _three(std),
    }


def _three(text: str) -> tuple[Any, ...]:
    """Return the numbers of a text such as ``0.5, 0.5, 0.5``; the text itself where it is none."""
    try:
        return tuple(float(part) for part in text.replace(";", ",").split(",")) if text.strip() else ()
    except ValueError:
        return (text,)


def _tried(upload: str, recipe: Recipe) -> None:
    """Load the weights, show the network, and offer to add it."""
    st.header("Does it fit?")
    try:
        reference = kept.with_recipe(upload, recipe.to_dict()).reference
    except HomologError as error:
        answers.problem(error)
        return
    answer = answers.ask(NetworkSpec(network=reference), height=200)
    if answer is None:
        return
    added = reference in session.added("network")
    with st.container(horizontal=True):
        st.button(
            "Added" if added else "Add this network",
            type="primary",
            icon=":material/check:" if added else ":material/add:",
            disabled=added,
            on_click=session.add,
            args=("network", reference, recipe.title or session.label(reference)),
            help="Puts it into the pickers of this session. Who has a link to it can open it, too.",
        )
        st.download_button(
            "Export the recipe",
            json.dumps(recipe.to_dict(), indent=1, ensure_ascii=False),
            file_name="recipe.json",
            mime="application/json",
            icon=":material/receipt_long:",
            help="For weights of the same kind, on the command line.",
        )
    count = int(answer.attrs["n_parameters"])
    st.markdown(
        f"**{plain(recipe.architecture)} takes all {count:,} weights; input {answer.attrs['input_shape']}.**"
    )
    answers.cautions(answer)
    if added:
        choices.next_steps(
            ("predictions.py", "See what it says of pictures", ":material/label:"),
            ("network.py", "See its layers", ":material/account_tree:"),
        )
