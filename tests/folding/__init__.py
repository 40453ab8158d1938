"""The fold of a run: pure, the same in one piece or in several."""
