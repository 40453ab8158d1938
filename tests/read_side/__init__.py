"""The read side whole: calls, agents, deletions, search, statistics, and the commands for them."""
