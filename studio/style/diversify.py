"""One pair of pictures under several similarities, side by side, from which one is picked and carried on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from PIL import Image
from torch import Tensor, nn

from studio.core.errors import InvalidRequest
from studio.core.images import to_image
from studio.core.progress import Progress
from studio.core.sheet import tile
from studio.style.moments import Moments
from studio.style.refine import RefineResult, refine
from studio.style.refine_config import RefineConfig
from studio.style.similarity import SIMILARITIES

COLUMNS = 4


@dataclass(frozen=True)
class Diversity:
    """Results by similarity, in the order asked for, as far as they have come."""

    results: tuple[tuple[str, RefineResult], ...]

    @property
    def sheet(self) -> Image.Image:
        """Every picture with the name of its similarity above it."""
        cells = [
            tile([to_image(result.picture)], 1, column_labels=[name.replace("_", " ")]) for name, result in self.results
        ]
        return tile(cells, COLUMNS, gap=4)


def diversify(
    encoder: nn.Module,
    content: Tensor,
    styles: Sequence[Tensor | Moments],
    similarities: Sequence[str] = (),
    config: RefineConfig = RefineConfig(),  # noqa: B008 - frozen
    start: Tensor | None = None,
) -> Iterator[Progress[Diversity]]:
    """Refine once under each similarity (none: under all) with otherwise the same config and start, as ``refine``.

    Every preview is a Diversity with what there is so far, from the first evaluation on. To carry one on, give
    ``refine`` its result's config, with more steps, and its state.
    """
    names = tuple(similarities) or SIMILARITIES.names()
    if len(set(names)) < len(names):
        raise InvalidRequest(f"Each similarity is tried once; got {', '.join(names)}.")
    configs = [replace(config, similarities=(name,), similarity_weights=()) for name in names]
    done: tuple[tuple[str, RefineResult], ...] = ()
    total = config.steps * len(names)
    for index, (name, each) in enumerate(zip(names, configs, strict=True)):
        for progress in refine(encoder, content, styles, each, start):
            shown = Diversity((*done, (name, progress.preview)))
            step = index * config.steps + progress.step
            if progress.result is not None:
                done = shown.results
            result = shown if len(done) == len(names) else None
            yield Progress(step, total, progress.metrics, shown, result, progress.note or name)
