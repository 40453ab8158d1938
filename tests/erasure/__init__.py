"""Deleted runs: erased, forgotten, and shown to be."""
