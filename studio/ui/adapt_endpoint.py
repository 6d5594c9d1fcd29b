"""The endpoint /adapt. The parameters are named as on the command line; pictures come as files."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from studio.core.errors import InvalidRequest
from studio.core.files import atomic_write
from studio.core.images import save_png
from studio.engine import AdaptRequest, Engine
from studio.engine.adapt_requests import AUTO, CROPS, methods
from studio.engine.gathered import left_out, spread, take
from studio.ui.handlers import Raw
from studio.ui.outbox import file_name

SCHEMAS: Mapping[str, dict[str, Any]] = {
    "pictures": {"description": "Pictures to learn from, as files: 3 to 20 of them, of more an even sample."},
    "base": {"type": "string"},
    "name": {"type": "string"},
    "method": {"type": "string", "enum": list(methods())},
    "budget": {"type": "number"},
    "crop": {"type": "string", "enum": list(CROPS)},
}
FILES: Mapping[str, dict[str, Any]] = {"pictures": {"file_count": "multiple"}}
Answer = tuple[str | None, str | None, dict[str, Any]]


def adapt(engine: Engine, folder: Callable[[], Path]) -> Callable[..., Iterator[Answer]]:
    """The endpoint's answer. folder: makes one for the files."""

    def adapt(
        pictures: Raw,
        base: Raw = AUTO,
        name: Raw = "my hand",
        method: Raw = AUTO,
        budget: Raw = 60.0,
        steps: Raw = None,
        seed: Raw = 0,
        crop: Raw = "square",
    ) -> Iterator[Answer]:
        """A sheet of the same seeds before and after, the adapter's file, and what was learned from what. While it
        works, only the last of the three comes, with the seconds that are left."""
        if not pictures:
            raise InvalidRequest("pictures are missing; send 3 to 20 of them as files.")
        store, files = engine.pictures(), list(pictures)
        taken = [take(file, store) for file in spread(files)]
        skipped = {one.name: one.note for one in taken if not one.reference}
        if len(skipped) == len(taken):
            raise InvalidRequest(f"None of the {len(taken)} pictures could be read: {taken[0].note}")
        request = AdaptRequest(
            pictures=tuple(one.reference for one in taken if one.reference),
            base=base,
            name=name,
            method=method,
            budget=budget,
            steps=steps,
            seed=seed,
            crop=crop,
        )
        for progress in engine.adapt(request, store):
            done = progress.result
            if done is None:
                yield None, None, {"step": progress.step, "seconds_left": progress.metrics.get("seconds_left")}
                continue
            place = folder()
            sheet, file = place / "before-after.png", place / f"{file_name(done.request.name) or 'adapter'}.safetensors"
            save_png(done.sheet(), sheet)
            with atomic_write(file) as temporary:
                temporary.write_bytes(engine.export(done.reference))
            about = {"offered": len(files), "skipped": skipped, "left_out": left_out(taken, done.verdicts)}
            yield str(sheet), str(file), {**done.summary(), **about}

    return adapt
