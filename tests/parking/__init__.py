"""Runs that a group has set aside."""
