"""What one member of a group does: it holds partitions, and lets handlers have their events."""
