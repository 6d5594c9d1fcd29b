"""``studio evaluate``: a model against held-out pictures, as a table, a card or JSON."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from studio.cli.data import FOLDERS, report_skipped
from studio.cli.door import Json, bar, extra, say
from studio.core import words
from studio.core.errors import InvalidRequest
from studio.core.progress import Progress, result_of

if TYPE_CHECKING:
    from studio.core.dataset import ImageSet
    from studio.engine.library import Library
    from studio.engine.opened import Opened
    from studio.evaluation.config import EvaluationConfig
    from studio.evaluation.critic import Critic
    from studio.evaluation.report import Report

T = TypeVar("T")
CRITIC = "The classifier that is asked about a generator's classes: a name or a path; none for none."
FEATURES = "vgg16, lite0 or inception, each with =FILE where its weights come from a file; several may follow."


def evaluate(
    model: Annotated[str, typer.Argument(help="A model's name, or a checkpoint's path.")],
    data: Annotated[list[Path], typer.Option(help=f"Held-out pictures. {FOLDERS}")],
    train_data: Annotated[list[Path] | None, typer.Option(help="What it was trained on: for novelty.")] = None,
    beside: Annotated[list[str] | None, typer.Option(help="Further models, each a column of the table.")] = None,
    floor: Annotated[
        bool, typer.Option("--floor", help="A column for real against real (needs --train-data).")
    ] = False,
    features: Annotated[list[str] | None, typer.Option(help=FEATURES)] = None,
    classes: Annotated[str, typer.Option(help="Use these classes of the data alone: landscape,seascape.")] = "",
    count: Annotated[int, typer.Option(help="Pictures to draw.")] = 1000,
    seed: Annotated[int, typer.Option(help="The first picture's seed.")] = 0,
    truncation: Annotated[float, typer.Option(help="From 0, the mean picture, to 1, as trained.")] = 1.0,
    critic: Annotated[str | None, typer.Option(help=CRITIC)] = None,
    card: Annotated[Path | None, typer.Option(help="Write the table into this Markdown file.")] = None,
    sheets: Annotated[Path | None, typer.Option(help="Write the sheets of samples and nearest pairs here.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Keep descriptions of the real pictures here.")] = None,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Judge a generator, or a classifier, by pictures that it has not seen."""
    with extra("train"):
        from studio.core.dataset import read_dataset
        from studio.engine.library import Library
        from studio.evaluation.config import EvaluationConfig
        from studio.evaluation.evaluate import real_floor
        from studio.evaluation.features import EVALUATION_SIZE
        from studio.evaluation.report import card_section, update_card
        from studio.settings import Settings
    if floor and not train_data:
        raise InvalidRequest(
            "--floor compares the training pictures with the held-out ones; name them by --train-data."
        )
    config = EvaluationConfig(tuple(features or ("vgg16",)), count, truncation, seed)
    wanted = words.names(classes) or None
    library = Library(Settings.from_environment())
    classifier = classifier_named(model, library)
    if classifier is not None:
        judge_classifier(classifier, read_dataset(data, EVALUATION_SIZE, wanted), card, sheets, as_json)
        return
    models = [(name, library.open(name)) for name in dict.fromkeys((model, *(beside or ())))]
    asked = critic_named(critic, library)
    reference = read_dataset(data, EVALUATION_SIZE, wanted)
    training = read_dataset(train_data, EVALUATION_SIZE, wanted) if train_data else None
    for pictures in filter(None, (reference, training)):
        report_skipped(pictures)
    reports = {
        Path(name).stem: run(
            judge(opened, reference, training, config, cache, asked, critic is not None),
            f"judging {Path(name).stem}",
            as_json,
        )
        for name, opened in models
    }
    if floor and training is not None:
        job = real_floor(reference, training, config, measure_novelty=True, cache=cache)
        reports["real images"] = run(job, "judging real images", as_json)
    if card is not None:
        update_card(card, reports)
    if sheets is not None:
        write_sheets(sheets, next(iter(reports.values())))
    record = {name: report.to_json() for name, report in reports.items()}
    say(as_json, {"reports": record}, card_section(reports))


def judge(
    opened: "Opened",
    reference: "ImageSet",
    training: "ImageSet | None",
    config: "EvaluationConfig",
    cache: Path | None,
    critic: "Critic | None" = None,
    named: bool = False,
) -> "Iterator[Progress[Report]]":
    """The evaluation of one model, which refuses the networks that its own training used.

    named: whether the critic was asked for; one that was not, and must not judge this model, is left out with a note.
    """
    from studio.evaluation.critic import shared_eyes
    from studio.evaluation.evaluate import evaluate as evaluate_model
    from studio.evaluation.features import training_features

    used = tuple(name for one in opened.checkpoints for name in training_features(one.provenance))
    notes: tuple[str, ...] = ()
    if critic is not None and not named and opened.classes and (shared := shared_eyes(critic, used)):
        notes = (f"Class consistency is left out: model and critic were both trained with {shared[0]} features.",)
        critic = None
    job = evaluate_model(
        opened.build(),
        reference,
        training,
        config,
        name=opened.path.stem,
        classes=opened.classes,
        training_features=used,
        cache=cache,
        critic=critic,
    )
    for progress in job:
        result = progress.result and replace(progress.result, notes=progress.result.notes + notes)
        yield replace(progress, result=result)


def classifier_named(model: str, library: "Library") -> "Critic | None":
    """The classifier that is to be judged, or None where the model is no classifier."""
    from studio.evaluation.critic import NAME, open_critic

    opened = library.part(NAME) if model == NAME else library.open(model).checkpoint
    return open_critic(opened) if opened is not None and opened.kind == NAME else None


def critic_named(critic: str | None, library: "Library") -> "Critic | None":
    """The critic of that name or path; by default the shipped one where it is there."""
    from studio.core.errors import UnknownName
    from studio.evaluation.critic import NAME, open_critic

    if critic == "none":
        return None
    opened = library.part(critic or NAME)
    if opened is None and critic is not None:
        try:
            opened = library.open(critic).checkpoint
        except UnknownName:
            raise InvalidRequest(
                f"There is no critic {critic[:80]!r}; name a classifier by its name or path, or none."
            ) from None
    return None if opened is None else open_critic(opened)


def judge_classifier(
    critic: "Critic", reference: "ImageSet", card: Path | None, sheets: Path | None, as_json: bool
) -> None:
    """A classifier's accuracy: its table, its card and its confusion matrix."""
    from studio.core.images import save_png
    from studio.evaluation.accuracy import measure_accuracy
    from studio.evaluation.report import write_section

    report_skipped(reference)
    report = run(measure_accuracy(critic, reference), f"judging {critic.name}", as_json)
    if card is not None:
        write_section(card, report.section())
    if sheets is not None:
        save_png(report.sheet, sheets / f"{critic.name}-confusion.png")
    say(as_json, {"reports": {critic.name: report.to_json()}}, report.section())


def run(job: "Iterable[Progress[T]]", description: str, quiet: bool) -> T:
    """Drive a job to its result behind a progress bar."""
    with bar(quiet) as shown:
        task = shown.add_task(description, total=None)

        def watched() -> "Iterator[Progress[T]]":
            for progress in job:
                shown.update(task, total=progress.total, completed=progress.step)
                yield progress

        return result_of(watched())


def write_sheets(folder: Path, report: "Report") -> None:
    """Save the report's sheets as PNGs named after the model."""
    from studio.core.images import save_png

    for name, sheet in report.sheets.items():
        save_png(sheet, folder / f"{report.name}-{name}.png")
