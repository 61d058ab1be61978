"""Launch the app; the app itself is pages/app.py, so that a cold deep link works."""

import streamlit as st
from starlette.middleware import Middleware

from dashboard.ui.server import OwnerCookie, lifespan, stay_home

stay_home()

app = st.App("pages/app.py", lifespan=lifespan, middleware=[Middleware(OwnerCookie)])

if __name__ == "__main__":
    app.run()
