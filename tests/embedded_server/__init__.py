"""The embedded server: one for all who share a folder, from the first to the last of them."""
