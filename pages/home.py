"""What Homolog is, three real examples, and where to go on."""

import streamlit as st

from dashboard.ui import guides, home

st.title("Homolog")
st.markdown(
    "What did a network learn, and does a brain agree? Open a trained network, see which stimuli its layers "
    "tell apart, and measure how much they resemble the areas of a brain."
)
home.ways_on()
st.header("Guided examples")
guides.draw()
home.examples()
