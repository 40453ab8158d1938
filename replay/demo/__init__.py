"""``runstore demo``: a small real workflow, run by processes that get killed, and what became of it.

Read it as an example: ``workflow`` is what a workflow looks like, ``execution`` and ``worker`` how
a worker is written, ``restorer`` and ``projector`` the two services beside it.
"""
