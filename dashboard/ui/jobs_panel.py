"""The parts of the Jobs page: what runs, what has ended, what lies on the disk."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import jobs, store
from dashboard.ui.text import plain

WHEN = "YYYY-MM-DD HH:mm:ss"
DAY = 86_400.0
KEEP = {
    "Everything": None,
    "Unused for a day": DAY,
    "Unused for a week": 7 * DAY,
    "Unused for a month": 30 * DAY,
}
SIGNS = {
    "queued": ":material/hourglass_empty:",
    "running": ":material/play_arrow:",
    "done": ":material/check:",
    "failed": ":material/error:",
    "cancelled": ":material/block:",
}


@st.fragment(run_every=1.0)
def running() -> None:
    """Show queued and running jobs with progress and cancel, and those that ended; refreshed every second."""
    engine = jobs.engine()
    known = engine.jobs()
    active = [job for job in known if not job.over]
    st.header("Running")
    if not engine.ready:
        st.caption("The workers are starting; what you ask meanwhile waits for them.")
    if not active:
        st.caption("Nothing is being computed. Open a page and choose something: its calculation shows here.")
    for job in active:
        with st.container(border=True, key=f"job-{job.key[:8]}"):
            left, right = st.columns([6, 1], vertical_alignment="center")
            left.progress(job.fraction, text=f"{SIGNS[job.state]} {plain(job.title)} · {plain(job.phrase)}")
            if right.button(
                "Cancel", key=f"stop-{job.key}", icon=":material/close:", help="Stop this calculation."
            ):
                engine.cancel(job.key)
    _ended([job for job in known if job.over])


def _ended(ended: list[jobs.Job]) -> None:
    st.header("Ended")
    if not ended:
        st.caption("Nothing has ended since this server started. Finished answers stay in the store below.")
        return
    rows = [
        {
            "Question": job.title,
            "State": job.state,
            "Seconds": round((job.finished or 0) - (job.started or job.submitted), 1),
            "Ended": pd.Timestamp(job.finished or 0, unit="s", tz="UTC"),
            "Reason": str(job.error or ""),
        }
        for job in ended
    ]
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config={
            "Seconds": st.column_config.NumberColumn(format="%.1f"),
            "Ended": st.column_config.DatetimeColumn("Ended (UTC)", format=WHEN, timezone="UTC"),
        },
        alt=f"{len(rows)} calculations that ended",
    )


def disk() -> None:
    """Show what the store holds, and clean it on request."""
    st.header("Stored answers")
    kept = store.default()
    usage = kept.usage()
    st.progress(
        min(1.0, usage.bytes / usage.limit),
        text=f"{usage.count} answers and activations · {_size(usage.bytes)} of {_size(usage.limit)}; "
        "what was used longest ago goes first when the limit is reached.",
    )
    entries = sorted(kept.entries(), key=lambda entry: -entry.bytes)
    if not entries:
        st.caption("The store is empty. Every answer that is computed is kept here and never computed twice.")
        return
    table = pd.DataFrame(
        {
            "What": [entry.title or entry.kind for entry in entries],
            "Kind": [entry.kind for entry in entries],
            "MB": [entry.bytes / 1e6 for entry in entries],
            "Last used": [pd.Timestamp(entry.used, unit="s", tz="UTC") for entry in entries],
        }
    )
    st.dataframe(
        table,
        hide_index=True,
        column_config={
            "MB": st.column_config.NumberColumn(format="%.2f"),
            "Last used": st.column_config.DatetimeColumn("Last used (UTC)", format=WHEN, timezone="UTC"),
        },
        alt=f"{len(entries)} stored answers, {_size(usage.bytes)} in all",
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        which = st.selectbox(
            "Remove",
            list(KEEP),
            index=2,
            key="remove",
            width=240,
            help="Removed answers are computed again when asked.",
        )
        if st.button(
            "Clean the store", icon=":material/delete:", key="clean", help="Frees disk space on the server."
        ):
            freed = kept.clear(older_than=KEEP[which])
            st.toast(f"Freed {_size(freed)}.")
            st.rerun()


def _size(count: float) -> str:
    for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} bytes"
