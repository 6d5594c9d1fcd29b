"""The command line: ``studio VERB``, also ``python -m studio VERB``. One small file a group of verbs."""

import typer

from studio.cli.adapt import adapt
from studio.cli.critic import classify
from studio.cli.door import ManyValues, OneSentenceGroup
from studio.cli.evaluate import evaluate
from studio.cli.invert import invert
from studio.cli.pictures import models, sample, walk
from studio.cli.serve import serve
from studio.cli.study import study
from studio.cli.style import stylize
from studio.cli.train import train

app = typer.Typer(
    cls=OneSentenceGroup,
    help="Atelier: paint with small generative models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (serve, models, sample, walk, invert, classify):
    app.command()(verb)
app.command(cls=ManyValues)(stylize)
app.command()(adapt)
app.command(cls=ManyValues)(train)
app.command(cls=ManyValues)(evaluate)
app.command(cls=ManyValues)(study)


def main() -> None:
    """Run the command line and end the process with its exit status."""
    app(prog_name="studio")
