"""Measured side by side with peers, in one process, as ratios."""
