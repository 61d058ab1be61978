"""What all kinds of prediction share: the chosen stimulus, and the grid or list to choose it from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.specs import PredictionsSpec
from dashboard.ui import choices
from dashboard.ui.components.gallery import Tile, gallery
from dashboard.ui.text import plain

MOST_TILES = 300
LIST_HEIGHT = 340


@dataclass(frozen=True)
class Shown:
    """What the page has to show of a question.

    Attributes
    ----------
    spec : PredictionsSpec
    answer : xarray.Dataset
    twin : xarray.Dataset or None
        The answer of the untrained twin, when it was asked for and is there.
    stimuli : xarray.Dataset or None
        Names and thumbnails of the stimuli, once they are there.
    """

    spec: PredictionsSpec
    answer: choices.Answer
    twin: choices.Answer | None
    stimuli: choices.Answer | None

    @property
    def names(self) -> list[str]:
        """Names of the stimuli in order."""
        return [str(v) for v in self.answer.stimulus.to_numpy()]

    @property
    def texts(self) -> bool:
        """Whether the stimuli are texts."""
        return str(self.answer.attrs.get("stimulus_kind", "image")) == "text"

    def thumbnail(self, name: str) -> np.ndarray | None:
        """Return the picture of a stimulus in small, (64, 64, 3) uint8, once it is there."""
        if self.stimuli is None or self.texts:
            return None
        return np.asarray(self.stimuli.thumbnail.to_numpy()[self.names.index(name)])

    def text(self, name: str) -> str:
        """Return a stimulus that is a text, as a whole."""
        if self.stimuli is None or "text" not in self.stimuli:
            return name
        return str(self.stimuli.text.to_numpy()[self.names.index(name)])


def chosen(shown: Shown) -> str:
    """Draw the list of names and return the chosen one; the grid sets it, too."""
    names = shown.names
    value = st.selectbox(
        "Text" if shown.texts else "Picture",
        names,
        key="picture",
        bind="query-params",
        help="Type a name, or click one below.",
    )
    return str(value or names[0])


def current() -> str:
    """Return the chosen stimulus where `chosen` has been drawn before."""
    return str(st.session_state.get("picture", ""))


def filtered(shown: Shown, states: Sequence[str] = (), labels: Sequence[str] = ()) -> list[str]:
    """Draw the filters and return the names that are left.

    Parameters
    ----------
    shown : Shown
    states : sequence of str, optional
        One word per stimulus, such as "right"; the filter offers ``labels``.
    labels : sequence of str, optional
    """
    kinds = [str(v) for v in dict.fromkeys(shown.answer.category.to_numpy()) if str(v)]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        what = "texts" if shown.texts else "pictures"
        kind = choices.pick(
            "only", "Category", ["all", *kinds], help=f"Show the {what} of one category below."
        )
        state = "all"
        if labels:
            state = choices.pick(
                "which",
                "Predictions",
                ["all", *labels],
                help="Show only what the network gets right, or wrong.",
            )
    given = states or [""] * len(shown.names)
    return [
        name
        for name, category, found in zip(shown.names, shown.answer.category.to_numpy(), given, strict=True)
        if kind in ("all", str(category)) and state in ("all", found)
    ]


def items(shown: Shown, tiles: Sequence[Tile], key: str, label: str) -> None:
    """Draw thumbnails, or of texts a list, with what the network says of them; a click chooses one."""
    if not tiles:
        st.caption("No text is of this kind." if shown.texts else "No picture is of this kind.")
        return
    some = list(tiles[:MOST_TILES])
    if shown.texts:
        text_list(shown, some, key, label)
    elif shown.stimuli is not None:
        place = {name: k for k, name in enumerate(shown.names)}
        thumbnails = np.asarray(shown.stimuli.thumbnail.to_numpy())[[place[tile.name] for tile in some]]
        gallery(
            some, thumbnails, label=label, key=key, chosen=current(), on_choice=_take(key, set(shown.names))
        )
    if len(tiles) > len(some):
        what = "texts" if shown.texts else "pictures"
        st.caption(f"The first {len(some)} of {len(tiles)} {what}; filter them, or type a name.")


def _take(key: str, names: set[str]) -> Callable[[], None]:
    def take() -> None:
        name = st.session_state[key].get("chosen")
        if name in names:
            st.session_state["picture"] = name

    return take


def text_list(shown: Shown, tiles: Sequence[Tile], key: str, label: str) -> None:
    """Draw texts in a table; a row that is selected is the chosen text."""
    table = pd.DataFrame(
        {
            "Prediction": [tile.caption for tile in tiles],
            **({"Verdict": [tile.state for tile in tiles]} if any(tile.state for tile in tiles) else {}),
            "Text": [shown.text(tile.name) for tile in tiles],
        }
    )

    def take() -> None:
        rows = st.session_state[key].selection.rows
        if rows and rows[0] < len(tiles):
            st.session_state["picture"] = tiles[rows[0]].name

    st.dataframe(
        table,
        hide_index=True,
        key=key,
        on_select=take,
        selection_mode="single-row",
        height=min(LIST_HEIGHT, 36 * (len(tiles) + 1) + 4),
        column_config={"Text": st.column_config.TextColumn(width="large")},
        alt=label,
    )


def why(shown: Shown, name: str, label: str = "See why: what speaks for this answer") -> None:
    """Link to the attributions of one stimulus."""
    st.page_link(
        "attributions.py",
        label=label,
        icon=":material/layers:",
        query_params={"network": shown.spec.network, "stimuli": shown.spec.stimuli, "items": name},
        help="Attributions: which parts of it raise or lower the score.",
    )


def stimulus(shown: Shown, name: str, words: str) -> None:
    """Draw one stimulus with what is said of it."""
    picture = shown.thumbnail(name)
    if shown.texts:
        with st.container(border=True):
            st.text(shown.text(name))
        st.markdown(plain(words))
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        if picture is not None:
            st.image(picture, width=128, alt=name)
        st.markdown(f"**{plain(name)}**  \n{plain(words)}")
