"""``runstore metrics``."""

from __future__ import annotations

import click

from replay.cli.options import Command
from replay.cli.output import emit, note
from replay.cli.session import CannotDo, Session

MAX_PORT = 65_535


@click.command(cls=Command)
@click.option(
    "--port", type=click.IntRange(0, MAX_PORT), help="Serve them there until interrupted; 0: any."
)
@click.option(
    "--address", default="127.0.0.1", show_default=True, help="Where to listen, with --port."
)
@click.pass_obj
def metrics(session: Session, *, port: int | None, address: str) -> None:
    """Print how consumer groups stand, as Prometheus text.

    With --port a Prometheus server can fetch it: each time it looks anew. It needs the extra
    'metrics'.
    """
    try:
        from eventstore.groups.metrics import metrics_text, registry_of  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        raise CannotDo(str(missing)) from missing

    with session.store() as store:
        if port is None:
            text = metrics_text(store)
            if session.as_json:
                emit({"text": text})
            else:
                click.echo(text, nl=False)
            return
        from prometheus_client import start_http_server  # noqa: PLC0415

        server, thread = start_http_server(port, address, registry_of(store))
        try:
            note(f"serving http://{address}:{server.server_port}/metrics")
            thread.join()
        finally:
            server.shutdown()
            server.server_close()
