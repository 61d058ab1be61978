"""What of your own would you like to look into?"""

import streamlit as st

from dashboard.ui.adding import network, recording, shown

KINDS = {"recording": "A recording", "network": "A network", "stimuli": "Pictures or texts"}
SHOW = {"recording": recording.show, "network": network.show, "stimuli": shown.show}

st.title("What of your own would you like to look into?")
kind = st.segmented_control(
    "What you bring",
    list(KINDS),
    default="recording",
    key="bring",
    bind="query-params",
    format_func=KINDS.__getitem__,
    help="Files are looked at in a process of its own before anything is opened, and files that can run code "
    "are refused.",
)
SHOW[kind or "recording"]()
st.caption(
    "What you bring stays on this server for a month, under a link that nobody can guess: who has the link "
    "sees it, and nobody else's pickers list it."
)
