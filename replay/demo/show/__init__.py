"""What a demo shows: the runs as they move, and the last screen."""
