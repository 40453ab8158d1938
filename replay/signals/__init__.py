"""Signals: who watches for them, what they end, and how each reaches each run once."""
