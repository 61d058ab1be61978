"""What somebody pinned, wrote and ordered, and how to take it along: slides, pages, notebooks, sessions."""
