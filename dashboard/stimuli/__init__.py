"""Stimuli: generated gratings, folders and zips of pictures, and the pictures of a recording."""
