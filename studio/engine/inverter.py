"""A picture of one's own in a model: found by a short descent, then a picture like any other, with its recipe."""

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import torch
from PIL import Image
from pydantic import BeforeValidator
from torch import nn

from studio.core.checkpoint import Checkpoint
from studio.core.errors import CheckpointError
from studio.core.images import square, to_image, to_tensor
from studio.core.progress import Progress, result_of
from studio.engine.codes import encode
from studio.engine.device import Workers
from studio.engine.library import Library
from studio.engine.opened import Opened
from studio.engine.painter import Painter
from studio.engine.pictures import opaque
from studio.engine.requests import ModelName, Own, SampleRequest, Seed, Strict
from studio.engine.results import Sample
from studio.engine.sentences import number, whole
from studio.latent.interior import pack
from studio.latent.inversion import Inversion, InversionConfig, invert

T = TypeVar("T")
Job = Generator[Progress[T], None, None]
SMALLEST_SHARE = 0.01  # of a class, to be named


class InvertRequest(Strict):
    """model: a name or, in the local profile, a path. seconds: the budget; steps: at most; seed: of the start."""

    model: ModelName
    seconds: Annotated[float, BeforeValidator(number(0.1, 120))] = 5.0
    steps: Annotated[int, BeforeValidator(whole(1, 2000))] = InversionConfig.steps
    seed: Seed = 0

    def to_json(self) -> dict[str, Any]:
        """The request as plain JSON values."""
        return self.model_dump(mode="json")


@dataclass(frozen=True)
class Inverted:
    """sample: the reconstruction, whose picture is an Own. original: the square that was looked for.

    distance: between the two, perceptual, 0 for the same; first: that of where the descent began. classes: by name.
    """

    sample: Sample
    original: Image.Image
    distance: float
    first: float
    classes: Mapping[str, float]
    steps: int


class Inverter:
    """step: one turn on the device with a model loaded. sample: the engine's, which paints what was found."""

    def __init__(
        self,
        library: Library,
        step: Callable[[Opened], AbstractContextManager[tuple[Painter, Workers]]],
        sample: Callable[[SampleRequest], Job[list[Sample]]],
    ) -> None:
        self._library, self._step, self._sample = library, step, sample
        self._eyes: dict[tuple[str, torch.device], nn.Module] = {}

    def invert(self, request: InvertRequest, image: Image.Image) -> Job[Inverted]:
        """As Engine.invert."""
        opened = self._library.open(request.model)
        looking = self._library.part("encoder")
        if looking is None:
            raise CheckpointError(
                "To find a picture in a model, encoder.safetensors is needed beside the models; train it with: "
                "studio train encoder."
            )
        original = square(opaque(image), self._library.resolution(opened))
        config = InversionConfig(steps=request.steps, seconds=request.seconds, seed=request.seed % 2**32)
        return self._run(request, opened, looking, original, config)

    def _run(
        self,
        request: InvertRequest,
        opened: Opened,
        looking: Checkpoint,
        original: Image.Image,
        config: InversionConfig,
    ) -> Job[Inverted]:
        descent = None
        while True:
            with self._step(opened) as (painter, workers):
                if descent is None:
                    target = to_tensor(original)[None].to(painter.device)
                    descent = invert(painter.model, target, self._look(looking, painter.device), config)
                progress: Progress[Inversion] = workers.whole(next, descent)
            if progress.result is not None:
                break
            preview = to_image(progress.preview[0])
            yield Progress(progress.step, progress.total, progress.metrics, preview)
        result = self._finish(request, original, progress.result, opened.classes)
        yield Progress(progress.step, progress.total, progress.metrics, result.sample.image, result)

    def _finish(
        self, request: InvertRequest, original: Image.Image, found: Inversion, names: tuple[str, ...]
    ) -> Inverted:
        shares = [] if found.weights is None else found.weights.tolist()
        classes = {name: round(share, 4) for name, share in zip(names, shares, strict=False) if share >= SMALLEST_SHARE}
        own = Own(own=encode(pack(found.w, found.details)), found=classes)
        (sample,) = result_of(self._sample(SampleRequest(model=request.model, pictures=(own,), truncation=1.0)))
        return Inverted(sample, original, found.distance, found.first, classes, found.steps)

    def _look(self, opened: Checkpoint, device: torch.device) -> nn.Module:
        """The encoder, loaded once. Call on a turn."""
        key = (opened.sha256, device)
        if key not in self._eyes:
            eyes = opened.build_module().eval().requires_grad_(False).to(device)
            self._eyes = {key: eyes.to(memory_format=torch.channels_last)}
        return self._eyes[key]
