"""What training and evaluation say alike of their data."""

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from studio.core.dataset import ImageSet

FOLDERS = "A folder of pictures (subfolder = class) or a zip with an index.csv; several may follow."


def report_skipped(pictures: "ImageSet") -> None:
    """Say on stderr how many pictures could not be read, and why the first could not."""
    if pictures.skipped:
        name, reason = pictures.skipped[0]
        count = len(pictures.skipped)
        typer.echo(f"Skipped {count} of {count + len(pictures)} pictures, the first is {name}: {reason}", err=True)
