"""Consumer groups: every event handled, each run in order, whatever happens."""
