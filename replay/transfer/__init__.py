"""Files of events: reading them, checking them, and settling them in a store."""
