"""Answers on a page: from the store at once, else a job with skeleton, progress and cancel."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import streamlit as st
import xarray as xr

from dashboard import compute, jobs, store
from dashboard.errors import HomologError, InputError
from dashboard.specs import Spec
from dashboard.ui.text import plain

SKELETON_AFTER = 0.3
BAR_AFTER = 2.0
POLL_SECONDS = 0.4


def peek(spec: Spec) -> xr.Dataset | None:
    """Return the answer if it is there; else have it computed and return None without waiting.

    For small things beside the main question (the sidebar's facts). Errors are shown where the main question
    meets them, so here they mean None.
    """
    try:
        key = compute.key(spec)
        found = store.default().open(key)
        if found is None:
            job = jobs.engine().submit(spec, lane="short")
            found = jobs.engine().dataset(key)
            if found is None and not job.over:
                _watched().append(key)
    except HomologError:
        return None
    return found


def ask(
    spec: Spec, *, height: int = 360, refused: Callable[[HomologError], None] | None = None
) -> xr.Dataset | None:
    """Return the answer, or draw the waiting (or the error) in its place and return None.

    Parameters
    ----------
    spec : Spec
    height : int
        Pixels of the skeleton: about the height of the coming figure, so that nothing jumps.
    refused : callable, optional
        Draws what stands in the place of an answer that cannot be; by default the error.
    """
    try:
        key = compute.key(spec)
        found = store.default().open(key)
        if found is not None:
            return found
        job = jobs.engine().submit(spec)
    except HomologError as error:
        problem(error)
        return None
    if not job.over:
        job = jobs.engine().wait(key, SKELETON_AFTER)
    if job.state == "done":
        return jobs.engine().dataset(key)
    if job.over:
        if refused is not None and isinstance(job.error, InputError):
            refused(job.error)
        else:
            _stopped(job, spec)
    else:
        _waiting(key, height)
    return None


def problem(error: HomologError) -> None:
    """Show an error: what is wrong, and what to do."""
    table = getattr(error, "table", None)
    st.error(
        plain(error.problem) + ("  \n" + plain(error.remedy) if error.remedy else ""), icon=":material/error:"
    )
    if table:
        st.dataframe(table, hide_index=True, alt="What did not fit")


def cautions(*given: xr.Dataset | None, said: Iterable[xr.Dataset | None] | xr.Dataset | None = None) -> None:
    """Show the sentences that a reader of these answers must know, each once; not those of ``said``."""
    above = [said] if said is None or isinstance(said, xr.Dataset) else said
    before = {caution for answer in above if answer is not None for caution in compute.cautions(answer)}
    found = [caution for answer in given if answer is not None for caution in compute.cautions(answer)]
    sentences = [plain(caution.message) for caution in dict.fromkeys(found) if caution not in before]
    if sentences:
        # One box, however many: a wall of warnings is not read.
        body = sentences[0] if len(sentences) == 1 else "\n".join(f"- {sentence}" for sentence in sentences)
        st.warning(body, icon=":material/warning:")


def watch() -> None:
    """Rerun the page once something that `peek` asked for has come; call it last in the script."""
    keys = tuple(dict.fromkeys(_watched()))
    if keys:
        _watch(keys)


def _watched() -> list[str]:
    keys: list[str] = st.session_state.setdefault("_watched", [])
    return keys


def forget_watched() -> None:
    """Start a script run with nothing to watch."""
    st.session_state["_watched"] = []


@st.fragment(run_every=POLL_SECONDS)
def _watch(keys: tuple[str, ...]) -> None:
    engine = jobs.engine()
    states = [engine.job(key) for key in keys]
    if any(job is None or job.over for job in states):
        st.rerun()


@st.fragment(run_every=POLL_SECONDS)
def _waiting(key: str, height: int) -> None:
    job = jobs.engine().job(key)
    if job is None or job.over:
        st.rerun()
    elapsed = time.time() - job.submitted
    with st.container(height="content", key=f"waiting-{key[:8]}"):
        if elapsed > BAR_AFTER:
            left, right = st.columns([6, 1], vertical_alignment="bottom")
            left.progress(job.fraction, text=plain(job.phrase or "Waiting for a free worker"))
            if right.button(
                "Cancel", key=f"cancel-{key}", icon=":material/close:", help="Stop this calculation."
            ):
                jobs.engine().cancel(key)
        st.skeleton(height=height)


def _stopped(job: jobs.Job, spec: Spec) -> None:
    """Say why there is no answer, and offer to try again."""
    if job.error is not None and job.state == "failed":
        problem(job.error)
    else:
        st.info("This calculation was cancelled. What it had finished is kept.", icon=":material/info:")
    if st.button("Try again", key=f"again-{job.key}", icon=":material/refresh:", help="Start it once more."):
        jobs.engine().submit(spec, again=True)
        st.rerun()
