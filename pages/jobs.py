"""What is being computed, what is stored, and how to stop or clean it."""

import streamlit as st

from dashboard.ui import jobs_panel

st.title("What is being computed, and what is stored?")
jobs_panel.running()
jobs_panel.disk()
