"""Networks whose weights take long to read: what their file's header says first, then the whole answer."""

from __future__ import annotations

import streamlit as st
import xarray as xr

from dashboard import compute, jobs, networks, store
from dashboard.errors import HomologError
from dashboard.specs import NetworkSpec, OutlineSpec
from dashboard.ui import answers

UNREAD = (
    "The weights are still being read and checked. What stands here comes from the list of names and shapes "
    "at the start of their file."
)


def peek(reference: str) -> xr.Dataset | None:
    """Return the layer table of a network, or what is known of it first, or None while that is made."""
    try:
        first = _first(reference)
    except HomologError:
        return None
    return answers.peek(OutlineSpec(network=reference) if first else NetworkSpec(network=reference))


def ask(spec: NetworkSpec, *, height: int) -> xr.Dataset | None:
    """Return the layer table, or what is known first with a sentence that says so; see `answers.ask`.

    The whole answer takes the place of the first one once the weights are read, and so does its refusal.
    """
    try:
        if not _first(spec.network) or _refused(spec):
            return answers.ask(spec, height=height)
    except HomologError as error:
        answers.problem(error)
        return None
    answer = answers.ask(OutlineSpec(network=spec.network), height=height)
    if answer is None:
        return None
    if not networks.digest_known(spec.network):
        _until_known(spec.network)
    elif (whole := answers.peek(spec)) is not None:
        return whole
    st.caption(UNREAD)
    return answer


def _first(reference: str) -> bool:
    """Say whether to begin with the header: of a large file whose whole answer is not there."""
    if not networks.first_glance(reference):
        return False
    return not networks.digest_known(reference) or not store.default().has(
        compute.key(NetworkSpec(network=reference))
    )


def _refused(spec: NetworkSpec) -> bool:
    """Say whether the weights were refused, or not read to the end."""
    if not networks.digest_known(spec.network):
        return False
    job = jobs.engine().job(compute.key(spec))
    return job is not None and job.over and job.state != "done"


@st.fragment(run_every=answers.POLL_SECONDS)
def _until_known(reference: str) -> None:
    """Rerun the page once the digest of the weight file is known, which a thread reads meanwhile."""
    if networks.digest_known(reference):
        st.rerun()
    networks.learn_digest(reference)
