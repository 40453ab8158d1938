"""The queries over the read side."""
