"""Laws of consumer groups, over courses of events that nobody planned."""
