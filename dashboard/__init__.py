"""Homolog: what did a network learn, and does a brain agree?"""

__version__ = "0.1.0"
