"""What a member has in hand: how events get there, and in which order they wait."""
