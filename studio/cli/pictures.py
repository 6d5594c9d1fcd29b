"""``studio models``, ``sample`` and ``walk``: what the engine does, in words and files."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from studio.cli import parse
from studio.cli.door import Json, bar, say
