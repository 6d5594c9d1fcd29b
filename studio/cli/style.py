"""``studio stylize``: a photo, or a folder of them, in the hand of one or several styles."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from studio.cli.door import Json, bar, say
from studio.core import words
from studio.core.errors import InvalidRequest, StudioError, UnknownName
from studio.core.files import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from studio.engine import Engine, Pictures, Styled, StylizeRequest

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif")


def stylize(
    content: Annotated[Path, typer.Argument(metavar="CONTENT", help="The photo, or a folder of photos.")],
    styles: Annotated[list[str], typer.Argument(metavar="STYLE…", help="Up to 4 pictures, or masterworks' names.")],
    out: Annotated[Path, typer.Option(help="The PNG to write; the folder to write to where CONTENT is one.")],
    fast: Annotated[bool, typer.Option("--fast", help="The instant picture, without refinement.")] = False,
    size: Annotated[int, typer.Option(help="Long side in pixels.")] = 512,
    weights: Annotated[str, typer.Option(metavar="W,W", help="Weights of the styles: 0.7,0.3.")] = "",
    practice: Annotated[int, typer.Option(help="Steps that the styles' codes practise first, 0 to 200.")] = 0,
    style_weight: Annotated[float, typer.Option(help="0 the photo, 1 the style.")] = 1.0,
    content_weight: Annotated[float, typer.Option(help="How firmly the photo's shapes are held, 0 to 1.")] = 0.5,
    style_scale: Annotated[float, typer.Option(help="Size of the strokes, 0.25 to 2.")] = 1.0,
    preserve_color: Annotated[str, typer.Option(help="none, luminance, histogram or linear.")] = "none",
    mask: Annotated[Path | None, typer.Option(help="White where the style goes, black where the photo stays.")] = None,
    encoder: Annotated[str, typer.Option(help="builtin, or vgg19: its weights are fetched once.")] = "builtin",
    steps: Annotated[int, typer.Option(help="Steps of the refinement.")] = 50,
    similarity: Annotated[list[str] | None, typer.Option(help="gram, …; NAME=WEIGHT to weigh several.")] = None,
    optimizer: Annotated[str, typer.Option(help="lbfgs, adam, …")] = "lbfgs",
    learning_rate: Annotated[float | None, typer.Option(help="By default the optimizer's own.")] = None,
    tv: Annotated[float, typer.Option(help="Weight of the total variation.")] = 0.0,
    start: Annotated[str, typer.Option(help="instant, content, noise, or a picture.")] = "instant",
    layers: Annotated[str, typer.Option(metavar="0,1,…", help="Layers of the encoder, 0 (finest) to 4.")] = "",
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
    recipe: Annotated[bool | None, typer.Option("--recipe/--no-recipe", help="Put the request into the PNG.")] = None,
    as_json: Annotated[bool, Json] = False,
) -> None:
    """Paint a photo in the hand of other pictures."""
    from studio.engine import Engine, StylizeRequest

    engine = Engine(alone=True)
    pictures = engine.pictures()
    photos = photos_of(content, out)
    names = [style_of(style, engine, pictures, practice) for style in styles]
    settings: dict[str, Any] = {
        "styles": [{**name, "weight": weight} for name, weight in zip(names, shares(weights, len(names)), strict=True)],
        "mask": None if mask is None else pictures.add(mask),
        "start": start if start in ("instant", "content", "noise") else pictures.add(Path(start)),
        "similarity": words.weights(",".join(similarity or ["gram"])),
        "preserve_color": preserve_color,
        "learning_rate": learning_rate,
        **({"layers": words.seeds(layers)} if layers else {}),
        **{"fast": fast, "size": size, "style_weight": style_weight, "content_weight": content_weight},
        **{"style_scale": style_scale, "encoder": encoder, "steps": steps, "optimizer": optimizer},
        **{"tv": tv, "seed": seed},
    }
    keep = engine.settings.keep_recipe if recipe is None else recipe
    began = time.monotonic()
    done: list[tuple[Path, Styled]] = []
    skipped: dict[str, str] = {}
    for photo, target in photos.items():
        try:
            request = StylizeRequest(content=pictures.add(photo), **settings)
        except StudioError as error:
            if not content.is_dir() or isinstance(error, InvalidRequest | UnknownName):
                raise
            skipped[photo.name] = str(error)
            continue
        styled = painted(engine, request, pictures, photo.name, as_json)
        styled.save(target, keep)
        done.append((target, styled))
    report(done, skipped, time.monotonic() - began, as_json)


def photos_of(content: Path, out: Path) -> "Mapping[Path, Path]":
    """Each photo with the file to write."""
    if not content.is_dir():
        if out.suffix.lower() != ".png":
            raise InvalidRequest(f"The result is a PNG; --out must end in .png; got {shown(out)}.")
        return {content: out}
    if out.suffix and not out.is_dir():
        raise InvalidRequest(f"CONTENT is a folder, so --out must be one too; got {shown(out)}.")
    photos = sorted(path for path in content.iterdir() if path.suffix.lower() in SUFFIXES)
    if not photos:
        raise InvalidRequest(f"The folder {shown(content)} holds no PNG, JPEG, WebP or GIF.")
    stems = [photo.stem for photo in photos]
    return {p: out / f"{p.stem if stems.count(p.stem) == 1 else p.name}.png" for p in photos}


def style_of(text: str, engine: "Engine", pictures: "Pictures", practice: int) -> dict[str, Any]:
    """A style by its masterwork's name, else by its file, which practises so many steps."""
    known = engine.masterworks()
    if text in known:
        return {"masterwork": text}
    path = Path(text)
    if not path.exists() and not path.suffix and "/" not in text:
        raise UnknownName("masterwork", text, known)
    return {"picture": pictures.add(path), "practice": practice}


def shares(text: str, count: int) -> list[float]:
    """Weights of so many styles in "0.7,0.3"; equal ones where there is no text."""
    try:
        weights = [float(part) for part in text.split(",")] if text.strip() else [1.0] * count
    except ValueError:
        raise InvalidRequest(f"{text[:40]!r} is not a list of weights; write numbers like 0.7,0.3.") from None
    if len(weights) != count:
        raise InvalidRequest(f"There are {count} styles and {len(weights)} weights; give one for each.")
    return weights


def painted(engine: "Engine", request: "StylizeRequest", pictures: "Pictures", name: str, quiet: bool) -> "Styled":
    """Run one request behind a progress bar."""
    with bar(quiet, "{task.fields[loss]}", "{task.fields[left]}", remaining=False) as progress_bar:
        task = progress_bar.add_task(shown(name), total=None, loss="", left="")
        last = None
        for last in engine.stylize(request, pictures):
            left = last.metrics.get("seconds_left")
            progress_bar.update(
                task,
                total=last.total,
                completed=last.step,
                description=last.note or shown(name),
                loss=f"loss {last.metrics['total']:.4f}" if "total" in last.metrics else "",
                left="" if left is None else f"{left:.0f} s left",
            )
    if last is None or last.result is None:
        raise StudioError("The job ended without a result.")
    return last.result


def report(done: "list[tuple[Path, Styled]]", skipped: "Mapping[str, str]", seconds: float, as_json: bool) -> None:
    """Say what was saved; a picture of a folder that could not be read is named on stderr."""
    for reason in skipped.values():
        typer.echo(f"Skipped: {reason}", err=True)
    if not done:
        raise InvalidRequest(f"None of the {len(skipped)} pictures in the folder could be read.")
    record = {
        "files": [str(target) for target, _ in done],
        "steps": [styled.steps for _, styled in done],
        "losses": [{name: values[-1] for name, values in styled.curves.items()} for _, styled in done],
        "skipped": dict(skipped),
        "seconds": round(seconds, 3),
    }
    files = f"Saved {done[0][0]}." if len(done) == 1 else f"Saved {len(done)} pictures in {done[0][0].parent}."
    say(as_json, record, files)
