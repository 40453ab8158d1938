"""How operations reach the server: connections, retries, and appends that travel together."""
