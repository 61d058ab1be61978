"""Launch the app; the app itself is pages/app.py, so that a cold deep link works."""

import streamlit as st

from dashboard.ui.server import lifespan

app = st.App("pages/app.py", lifespan=lifespan)

if __name__ == "__main__":
    app.run()
