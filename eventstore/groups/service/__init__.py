"""Services: handlers of a consumer group, each declared with what it wants to see."""

from eventstore.groups.service.service import GroupOptions, Service

__all__ = ["GroupOptions", "Service"]
