"""Components of our own: Python, JavaScript and styles side by side."""
