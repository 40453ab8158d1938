"""What the services log, told on stderr in one line each."""

from __future__ import annotations

import logging


class OneLine(logging.Formatter):
    """Shows an error by its message, without the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        text = record.getMessage()
        error = record.exc_info[1] if record.exc_info else None
        return " ".join((f"{text}: {error}" if error else text).split())


def show_warnings() -> None:
    """Show warnings and errors, unless whoever runs this has decided otherwise."""
    if not logging.root.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(OneLine())
        logging.root.addHandler(handler)
