"""The projections of this Python environment: the built-in ones, and those of other packages."""

from __future__ import annotations

import inspect
from importlib.metadata import EntryPoint, entry_points

from eventstore.errors import InvalidArgument
from projections.built_in import BUILT_IN
from projections.projection import Projection

ENTRY_POINTS = "runstore.projections"
"""A package adds projections by entry points of this group, each naming a class:

[project.entry-points."runstore.projections"]
costs = "my_package.costs:CostReport"
"""


def installed_projections() -> tuple[type[Projection], ...]:
    """Give the built-in projections and those that installed packages add, by name.

    Raises ``InvalidArgument`` for an entry point that cannot be loaded, is no projection, or
    takes a name that another one has.
    """
    found = list(BUILT_IN)
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda one: one.name):
        projection = _loaded(point)
        if any(one.name == projection.name for one in found):
            raise InvalidArgument(
                f"entry point {point.name!r} ({point.value}): there is a projection named "
                f"{projection.name!r} already; give it another name"
            )
        found.append(projection)
    return tuple(found)


def _loaded(point: EntryPoint) -> type[Projection]:
    try:
        loaded = point.load()
    except Exception as error:
        raise InvalidArgument(
            f"entry point {point.name!r} ({point.value}) cannot be loaded "
            f"({type(error).__name__}: {error}); mend or uninstall its package"
        ) from error
    if not (inspect.isclass(loaded) and issubclass(loaded, Projection)):
        raise InvalidArgument(f"entry point {point.name!r} ({point.value}) is no Projection class")
    if inspect.isabstract(loaded) or not getattr(loaded, "name", ""):
        raise InvalidArgument(f"entry point {point.name!r}: {point.value} has no name or no apply")
    return loaded
