"""Masks over their pictures on the Network page, with opacity in the browser and the overlap of each."""

from __future__ import annotations

import numpy as np
import streamlit as st

from dashboard.figures import segmentation as figure
from dashboard.figures.answers import place
from dashboard.figures.overlay import Panel
from dashboard.specs import PredictionsSpec
from dashboard.ui import answers, charts, choices, panel, sidebar
from dashboard.ui.components.overlay import overlay_view
from dashboard.ui.text import plain


def draw(network: str) -> None:
    """Draw the panel for the chosen stimuli."""
    spec = choices.build(PredictionsSpec, network=network, stimuli=sidebar.current().stimuli)
    answer = answers.ask(spec, height=480) if spec is not None else None
    if spec is None or answer is None:
        return
    st.markdown(plain(figure.verdict(answer)))
    answers.cautions(answer)
    small = choices.pictures(spec.stimuli)
    order = figure.order(answer)
    stimulus = choices.pick(
        "picture",
        "Picture",
        order,
        help="Whose mask is drawn. Where the true masks are known, the worst comes first.",
    )
    picture = None
    if small is not None:
        names = [str(v) for v in small.stimulus.values]
        picture = np.asarray(small.thumbnail.values)[names.index(stimulus)] if stimulus in names else None
    words = figure.words_about(answer, stimulus)
    overlay_view(panels(answer, stimulus, picture), key="mask-overlay", label=words, widest=300)
    st.markdown(plain(words))
    st.caption(
        "The slider above sets how much of the masks covers the picture; the bare picture stands first."
    )
    panel.footer(answer, spec, lambda: figure.overlay_chart(answer, stimulus, picture), name="mask")
    if figure.labelled(answer):
        st.header("Overlap of all pictures")
        st.markdown(plain(figure.iou_words(answer)))
        charts.draw(
            answer, "mask-iou", lambda dark: figure.iou_chart(answer, dark=dark), alt=figure.iou_words(answer)
        )
        panel.footer(answer, spec, lambda: figure.iou_chart(answer, width=480), name="mask-overlap")


def panels(answer: choices.Answer, stimulus: str, thumbnail: np.ndarray | None) -> list[Panel]:
    """Return the bare picture, the mask over it and, where it is known, where the mask is wrong."""
    k = place(answer, stimulus)
    size = int(answer["height"].values[k]), int(answer["width"].values[k])
    picture = cropped(thumbnail, *size) if thumbnail is not None else np.full((8, 8, 3), 128, np.uint8)
    said = answer["predicted_mask"].transpose("stimulus", "y", "x").values[k].astype(float)
    found = [
        Panel("Picture", picture, words=stimulus),
        Panel(
            "Mask of the network",
            picture,
            np.where(said > 0, 1.0, np.nan),
            lo=0.0,
            hi=1.0,
            unit="1: object",
            lut="viridis",
            words=figure.words_about(answer, stimulus),
        ),
    ]
    if figure.labelled(answer):
        true = answer["true_mask"].transpose("stimulus", "y", "x").values[k].astype(float)
        wrong = said - true
        found.append(
            Panel(
                "Where it is wrong",
                picture,
                np.where(wrong != 0, wrong, np.nan),
                lo=-1.0,
                hi=1.0,
                unit="−1: missed, 1: too much",
                words=f"{int((wrong > 0).sum())} pixels too much, {int((wrong < 0).sum())} missed",
            )
        )
    return found


def cropped(thumbnail: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the picture of a square thumbnail without the grey beside a narrow picture."""
    side, longest = len(thumbnail), max(height, width)
    tall, wide = (max(1, round(side * length / longest)) for length in (height, width))
    top, left = (side - tall) // 2, (side - wide) // 2
    return thumbnail[top : top + tall, left : left + wide]
