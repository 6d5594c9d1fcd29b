"""What other programs may call, with gradio_client or over HTTP: /models, /sample, /walk, /classes, /stylize, /adapt.

The parameters are named as on the command line. Values reach the engine as they are sent, and it validates them.
"""

import inspect
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components.api_component import Api

from studio.core import words
from studio.core.errors import StudioError
from studio.core.images import save_png
from studio.engine import ClassesRequest, Engine, SampleRequest, WalkRequest
from studio.ui import adapt_endpoint, style_endpoint
from studio.ui.film import cache_folder
from studio.ui.handlers import STUMBLED, Raw, notice

SCHEMAS: Mapping[str, dict[str, Any]] = {
    "model": {"type": "string"},
    "seed": {"type": "integer"},
    "count": {"type": "integer"},
    "truncation": {"type": "number"},
    "adaptation": {"type": "number"},
    "size": {"type": ["integer", "null"], "description": "Side in pixels; null for what the model paints."},
    "classes": {"description": 'Weights as {"landscape": 0.7, "seascape": 0.3} or as "landscape=0.7,seascape=0.3".'},
    "rows": {"description": 'Names as ["landscape", "seascape"] or as "landscape,seascape"; none for all.'},
    "seeds": {"description": 'Seeds as [1, 2, 3] or as "1,2,3".'},
    "frames": {"type": "integer"},
    "fps": {"type": "integer"},
    "space": {"type": "string", "enum": ["w", "z"]},
    "format": {"type": "string", "enum": ["mp4", "gif"]},
    "loop": {"type": "boolean"},
    **style_endpoint.SCHEMAS,
    **adapt_endpoint.SCHEMAS,
}
API: dict[str, Any] = {"concurrency_id": "api", "concurrency_limit": 2}
_log = logging.getLogger(__name__)


def publish(engine: Engine) -> None:
    """Declare the endpoints; to be called where the page is built."""
    with gr.Column(visible=False):
        _endpoint("models", _models(engine), gr.JSON(label="Models"))
        _endpoint("sample", _sample(engine), gr.File(file_count="multiple", label="Pictures"))
        _endpoint("walk", _walk(engine), gr.File(label="Film"))
        _endpoint("classes", _classes(engine), gr.File(label="Sheet"))
        made = [gr.File(label="Before and after"), gr.File(label="Adapter"), gr.JSON(label="Summary")]
        _endpoint("adapt", adapt_endpoint.adapt(engine, _folder), made, adapt_endpoint.FILES)
        _endpoint("stylize", style_endpoint.stylize(engine, _folder), gr.File(label="Picture"), style_endpoint.FILES)


def _endpoint(
    name: str, answer: Callable[..., Iterator[Any]], output: Any, files: Mapping[str, dict[str, Any]] | None = None
) -> None:
    """files: of the parameters that take files, how the file is taken."""
    parameters = inspect.signature(answer).parameters.values()
    inputs = [
        gr.File(label=parameter.name, **files[parameter.name])
        if files and parameter.name in files
        else Api(
            None if parameter.default is inspect.Parameter.empty else parameter.default,
            SCHEMAS["rows" if (name, parameter.name) == ("classes", "classes") else parameter.name],
            parameter.name,
        )
        for parameter in parameters
    ]
    names = [parameter.name for parameter in parameters]

    def call(*values: Any) -> Iterator[Any]:
        try:
            yield from answer(**dict(zip(names, values, strict=True)))
        except StudioError as error:
            raise notice(error) from None
        except Exception:
            _log.exception("The endpoint /%s failed.", name)
            raise gr.Error(STUMBLED, print_exception=False) from None

    call.__signature__ = inspect.signature(answer)  # type: ignore[attr-defined]  # gives the client its names
    gr.Button(visible=False).click(
        call, inputs, output, api_name=name, api_description=inspect.getdoc(answer), show_progress="hidden", **API
    )


def _models(engine: Engine) -> Callable[[], Iterator[list[dict[str, Any]]]]:
    def models() -> Iterator[list[dict[str, Any]]]:
        """The models on the shelf; one that cannot be used says why in "error"."""
        facts = ("name", "error", "kind", "resolution", "classes", "layers", "parameters", "sha256", "metrics", "base")
        yield [{fact: _plain(getattr(info, fact)) for fact in facts} for info in engine.models()]

    return models


def _sample(engine: Engine) -> Callable[..., Iterator[list[str]]]:
    def sample(
        model: Raw,
        seed: Raw = 0,
        count: Raw = 16,
        truncation: Raw = 0.8,
        classes: Raw = "",
        adaptation: Raw = 1.0,
        size: Raw = None,
    ) -> Iterator[list[str]]:
        """Pictures of the seeds seed … seed + count − 1 as PNG files that carry their recipe, more with each step."""
        request = SampleRequest(
            model=model,
            seed=seed,
            count=count,
            truncation=truncation,
            adaptation=adaptation,
            classes=_weights(classes),
            size=size,
        )
        folder, files = _folder(), list[str]()
        for progress in engine.sample(request):
            for item in progress.preview[len(files) :]:
                file = folder / f"{item.seed}.png"
                item.save(file, engine.settings.keep_recipe)
                files.append(str(file))
            yield files

    return sample


def _walk(engine: Engine) -> Callable[..., Iterator[str | None]]:
    def walk(
        model: Raw,
        seeds: Raw,
        frames: Raw = 120,
        fps: Raw = 30,
        truncation: Raw = 0.8,
        classes: Raw = "",
        space: Raw = "w",
        format: Raw = "mp4",  # noqa: A002 - the request's own name for it
        loop: Raw = True,
        adaptation: Raw = 1.0,
        size: Raw = None,
    ) -> Iterator[str | None]:
        """A film through the pictures of the seeds. Nothing comes while it is made, the file at the end."""
        request = WalkRequest(
            model=model,
            seeds=words.seeds(seeds) if isinstance(seeds, str) else seeds,
            frames=frames,
            fps=fps,
            truncation=truncation,
            adaptation=adaptation,
            classes=_weights(classes),
            space=space,
            format=format,
            loop=loop,
            size=size,
        )
        for progress in engine.walk(request, _folder() / f"walk.{request.format}"):
            yield None if progress.result is None else str(progress.result)

    return walk


def _classes(engine: Engine) -> Callable[..., Iterator[str | None]]:
    def classes(
        model: Raw, seed: Raw = 0, count: Raw = 8, truncation: Raw = 0.8, classes: Raw = "", adaptation: Raw = 1.0
    ) -> Iterator[str | None]:
        """A labelled sheet, classes × seeds, as a PNG that carries its recipe."""
        rows = words.names(classes) if isinstance(classes, str) else classes
        request = ClassesRequest(
            model=model, seed=seed, count=count, truncation=truncation, adaptation=adaptation, classes=rows
        )
        for progress in engine.classes(request):
            if progress.result is None:
                yield None
                continue
            file = _folder() / "classes.png"
            recipe = progress.result.samples[0][0].recipe if engine.settings.keep_recipe else None
            save_png(progress.result.sheet(), file, recipe)
            yield str(file)

    return classes


def _weights(classes: Raw) -> Raw:
    return words.weights(classes) if isinstance(classes, str) else classes or {}


def _plain(value: Any) -> Any:
    """A value as JSON."""
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value


def _folder() -> Path:
    """A fresh folder among the files that gradio serves, and clears by their age."""
    return Path(tempfile.mkdtemp(prefix="atelier-", dir=cache_folder()))
