"""``studio serve``: the page."""

import importlib
from typing import Annotated

import typer

from studio.cli.door import Json, say


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; 0.0.0.0 for every one.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port; by default the first free one.")] = None,
    share: Annotated[bool, typer.Option("--share", help="Ask gradio for a public link.")] = False,
    profile: Annotated[str | None, typer.Option(help="local, or public with tighter limits.")] = None,
    auth: Annotated[
        str | None, typer.Option(metavar="USER:PASSWORD", envvar="STUDIO_AUTH", help="Ask for a login.")
    ] = None,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Open the studio in a browser."""
    page = importlib.import_module("studio.ui.app")  # the command line and the page are siblings: bound at run time

    def opened(url: str, public: str | None) -> None:
        say(True, {"url": url, "public": public}, "")

    page.serve(host=host, port=port, share=share, profile=profile, auth=auth, opened=opened if as_json else None)
