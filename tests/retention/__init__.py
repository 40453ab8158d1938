"""What leaves Redis once it is archived, and that no reader can tell."""
