"""Appends: atomic, versioned, idempotent, whoever else appends and whatever gets lost."""
