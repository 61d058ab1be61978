"""The only part of the library that knows Streamlit: sidebar, answer panels, jobs, components."""
