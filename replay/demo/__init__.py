"""``runstore demo``: a small real workflow in several processes, some of which get killed.

Read ``processes`` as an example: ``workflow`` is what a workflow looks like, ``execution`` and
``worker`` how a worker is written, ``restorer`` and ``projector`` the two services beside it.
"""
