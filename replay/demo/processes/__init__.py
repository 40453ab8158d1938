"""What runs in the processes of a demo: the workflow and its workers, restorers, a projector."""
