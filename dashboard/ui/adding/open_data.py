"""The list of open data on the Add page: what there is, under which terms, and a button that fetches it."""

from __future__ import annotations

import streamlit as st

from dashboard import recordings
from dashboard.errors import Cancelled, HomologError, collect_cautions
from dashboard.recordings.open_data import OPEN, OpenData, fetched
from dashboard.ui import answers, choices
from dashboard.ui.text import plain


def show() -> None:
    """Draw the list, folded, and the way to fetch."""
    with st.expander("Open data from labs and courses", icon=":material/public:"):
        present = {entry.reference for entry in recordings.catalogue() if entry.present}
        st.dataframe(
            [_row(entry, present) for entry in OPEN],
            hide_index=True,
            height=280,
            alt=f"{len(OPEN)} open data sets, {len(fetched())} of which are fetched here",
            column_config={"what to do": st.column_config.TextColumn(width="large")},
        )
        st.caption(
            "Nothing is fetched before you ask. Sizes, checksums and terms are those that the sources tell; "
            "where a source tells no checksum, the SHA-256 of the first fetch is kept and compared later."
        )
        _fetch()


def _row(entry: OpenData, present: set[str]) -> dict[str, str]:
    if entry.recordings:
        here = present.issuperset(entry.recordings)
        todo = f"{'is here' if here else 'fetch below'}; then choose {' or '.join(entry.recordings)}"
    else:
        todo = entry.why_not
    return {
        "data": entry.title,
        "species": entry.species,
        "what to do": todo,
        "size": entry.size,
        "checksum": entry.checksum,
        "terms": entry.terms,
        "signal": entry.signal,
        "stimuli": entry.stimuli,
        "address": entry.address,
    }


def _fetch() -> None:
    """Fetch what is chosen, with a bar; leaving the page or Cancel ends it and leaves nothing half."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = choices.pick("open", "Data set", list(fetched()), help="One that is fetched here.")
        asked = st.button(
            "Fetch", icon=":material/download:", help="Download its files from the address in the list."
        )
    entry = fetched()[name]
    st.caption(plain(f"{entry.title}. Size: {entry.size}. Checksum: {entry.checksum}. Terms: {entry.terms}."))
    if not asked:
        return
    left, right = st.columns([6, 1], vertical_alignment="center")
    bar, stop = left.progress(0.0, text="Asking the server"), right.empty()
    # Any click runs the page anew, which ends this run where it next tells how far it is.
    stop.button("Cancel", icon=":material/close:", help="Stop fetching; nothing half is kept.")

    def tell(share: float, phrase: str) -> None:
        bar.progress(min(share, 1.0), text=plain(phrase))

    try:
        with collect_cautions() as told:
            recordings.fetch(name, tell)
    except Cancelled:
        return
    except HomologError as error:
        answers.problem(error)
        return
    finally:
        bar.empty()
        stop.empty()
    for caution in told:
        st.warning(plain(caution.message), icon=":material/warning:")
    st.success(f"{plain(entry.title)} is here: choose {' or '.join(entry.recordings)} as the recording.")
