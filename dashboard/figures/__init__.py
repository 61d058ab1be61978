"""Datasets in, charts and pictures out: one module per page, and how they are exported."""
