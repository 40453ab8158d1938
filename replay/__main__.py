"""The command ``runstore``; also ``python -m replay``."""

from __future__ import annotations

import signal
import sys
from typing import NoReturn

NEEDED = ("click", "rich")


def main() -> None:
    """Run the command line; ends the process with its exit code."""
    try:
        signal.signal(signal.SIGTERM, _leave)
        from replay.cli.main import commands  # noqa: PLC0415 - a missing click is told in words

        commands.main(prog_name="runstore")
    except KeyboardInterrupt:
        sys.exit(130)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in NEEDED:
            raise
        sys.stderr.write("the command line needs click and rich: pip install 'runstore[all]'\n")
        sys.exit(2)


def _leave(number: int, _frame: object) -> NoReturn:
    """End in good order, so that the last one to leave stops the embedded server."""
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
