"""Pause windows that end: each run is restored once, however many restorers run or die."""
