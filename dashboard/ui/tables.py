"""Tables of numbers on pages: headings in words over columns that keep their names in files."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

KNOWN: dict[str, tuple[str, str]] = {
    "ci_low": ("95 % from", "Lower end of the 95 % interval."),
    "ci_high": ("95 % to", "Upper end of the 95 % interval."),
    "sem": ("Standard error", "Standard error of the score."),
    "p": ("p", "Probability of a result at least as extreme if there were nothing to find."),
    "p_adjusted": ("p, corrected", "Corrected for the number of tests."),
    "p_corrected": ("p, corrected", "Corrected for the number of tests."),
    "d_prime": ("d′", "Difference of means in pooled standard deviations."),
    "mean_r2": ("Mean R²", "Share of the variance that is predicted, averaged."),
    "ceiling_low": ("Noise ceiling from", "What the best possible model reaches at least."),
    "ceiling_high": ("Noise ceiling to", "What the best possible model reaches at most."),
}
"""Column -> its heading on the page and what it means."""


def heading(name: str) -> tuple[str, str | None]:
    """Return the heading of a column, and what it means where that is known.

    Examples
    --------
    >>> heading("n_subjects")
    ('Subjects', 'How many.')
    >>> heading("share_low")
    ('Share, low end', None)
    """
    if name in KNOWN:
        return KNOWN[name]
    if name.startswith("n_"):
        return _sentence(name[2:]), "How many."
    for end, words in (("_low", ", low end"), ("_high", ", high end"), ("_adjusted", ", corrected")):
        if name.endswith(end):
            return heading(name.removesuffix(end))[0] + words, None
    if name.startswith("p_"):
        return f"p ({name[2:].replace('_', ' ')})", None
    return _sentence(name), None


def _sentence(name: str) -> str:
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:] if len(words) > 1 else words


def draw(table: pd.DataFrame, *, alt: str, **options: Any) -> None:
    """Draw a table whose columns keep their names in exported files.

    Parameters
    ----------
    table : pd.DataFrame
    alt : str
        What the table shows, for those who do not see it.
    **options
        Of `streamlit.dataframe`.
    """
    headings = {str(name): heading(str(name)) for name in table.columns}
    config = {
        name: st.column_config.Column(label, help=words)
        for name, (label, words) in headings.items()
        if label != name or words
    }
    st.dataframe(table, hide_index=True, column_config=config, placeholder="–", alt=alt, **options)
