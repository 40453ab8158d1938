"""Decisions that people make about paused runs: what may be answered, and links to answer by."""
