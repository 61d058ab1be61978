"""The app: page config, the shared sidebar and the navigation; nothing else."""

from pathlib import Path

import streamlit as st

from dashboard.ui import answers, desk, sidebar

# A picture of our own: icons by name would be fetched from the internet.
icon = Path(__file__).parents[1] / "assets" / "icon.png"
st.set_page_config(page_title="Homolog", page_icon=str(icon), layout="wide")

pinned = desk.figures()
# Flat: the headings of sections would break the list for screen readers.
page = st.navigation(
    [
        st.Page("home.py", title="Home", icon=":material/home:", default=True),
        st.Page("add.py", title="Add", icon=":material/add_circle:"),
        st.Page("network.py", title="Network", icon=":material/account_tree:"),
        st.Page("predictions.py", title="Predictions", icon=":material/label:"),
        st.Page("attributions.py", title="Attributions", icon=":material/layers:"),
        st.Page("attention.py", title="Attention", icon=":material/visibility:"),
        st.Page("filters.py", title="Filters", icon=":material/filter_b_and_w:"),
        st.Page("tuning.py", title="Tuning", icon=":material/tune:"),
        st.Page("selectivity.py", title="Selectivity", icon=":material/filter_alt:"),
        st.Page("unit.py", title="Unit", icon=":material/my_location:"),
        st.Page("rdms.py", title="RDMs", icon=":material/grid_on:"),
        st.Page("brain.py", title="Brain", icon=":material/neurology:"),
        st.Page("alignment.py", title="Alignment", icon=":material/compare_arrows:"),
        st.Page("decoding.py", title="Decoding", icon=":material/psychology:"),
        st.Page("encoding.py", title="Encoding", icon=":material/stacked_line_chart:"),
        st.Page(
            "report.py",
            title=f"Report ({pinned})" if pinned else "Report",
            icon=":material/article:",
        ),
        st.Page("jobs.py", title="Jobs", icon=":material/list_alt:"),
        st.Page("present.py", title="Present", visibility="hidden"),
    ],
    expanded=True,
)

st.session_state["_page"] = page.url_path
answers.forget_watched()
desk.restore_choices()
if page.url_path == "present":  # the whole screen is the figure's
    page.run()
elif sidebar.draw():
    desk.keep_choices()
    page.run()
answers.watch()
