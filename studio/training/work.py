"""One run in a process of its own, at low priority: ``python -m studio.training.work HOME`` takes up the oldest that
waits, and at its end sees that the next one begins. A signal saves; killed, it goes on from the last save."""

import math
import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from studio.core.errors import StudioError, TrainingError
from studio.core.files import atomic_write
from studio.core.lock import holding
from studio.training.runs import (
    DONE,
    FAILED,
    GO,
    LOCK,
    PAUSE,
    PAUSED,
    READING,
    TRAINING,
    Runs,
    RunState,
    read_run,
    write_status,
)

NICE = 15
MAX_STARTS = 3  # without a picture more between them
LISTEN_SECONDS, STATUS_SECONDS, SAVE_SECONDS = 0.3, 1.0, 30.0
SNAPSHOT_IMAGES, SNAPSHOTS = 640, 20  # between two; how many are kept
UNLIMITED = 10**12  # pictures: a run ends by time
ROOM = 256 << 20  # bytes that must be free
MAX_NOTES = 20


class Wishes:
    """What is wished of a run, looked up now and then; a signal counts as a pause that nobody wished."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.signalled = folder, False
        self._looked, self._wish = 0.0, GO
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)

    def _note(self, number: int, frame: object) -> None:  # noqa: ARG002 - the signature of a handler
        self.signalled = True

    @property
    def wish(self) -> str:
        """GO, PAUSE or STOP."""
        now = time.monotonic()
        if now - self._looked > LISTEN_SECONDS:
            self._looked = now
            state = read_run(self.folder)
            self._wish = PAUSE if state is None else state.wish
        return self._wish

    def stop(self) -> bool:
        """Whether the run is to end now."""
        return self.signalled or self.wish != GO


def execute(state: RunState, wishes: Wishes, library: Path) -> RunState:
    """Take a run as far as it is wished. → what it has come to, which is written down."""
    starts = 1 if state.images > state.started_at else state.starts + 1
    state = replace(state, starts=starts, started_at=state.images, error="", stage=READING, pid=os.getpid())
    try:
        if starts > MAX_STARTS:
            raise TrainingError(
                f"The run was broken off {MAX_STARTS} times at {state.images} pictures; try smaller ones or less data."
            )
        write_status(state)
        if state.wish == GO:
            state = train(state, wishes)
        if wishes.signalled and state.left > 0:
            return state
        if wishes.wish == PAUSE and state.left > 0:
            return told(state, stage=PAUSED)
        return told(publish(state, library), stage=DONE)
    except StudioError as error:
        heard = read_run(state.folder)
        latest = state if heard is None else replace(heard, starts=state.starts, started_at=state.started_at)
        return told(latest, stage=FAILED, error=str(error), heard=latest.said, starts=0)


def told(state: RunState, **changes: Any) -> RunState:
    """The state with changes, written down."""
    state = replace(state, **changes)
    write_status(state)
    return state


def train(state: RunState, wishes: Wishes) -> RunState:
    """Train until the time is over or something else is wished."""
    from studio.core.dataset import read_dataset
    from studio.core.fields import configure
    from studio.training.loop import fit
    from studio.training.options import TrainOptions
    from studio.training.recipe import RECIPES

    order = state.order
    if shutil.disk_usage(state.folder).free < ROOM:
        raise TrainingError(f"Under {ROOM >> 20} MB are free where the library lies; free some, then resume.")
    recipe = RECIPES[order.recipe]
    model, trainer = configure(recipe.model, dict(order.model)), recipe.trainer()
    spent = saved_seconds(state.out)
    options = TrainOptions(
        out=state.out,
        batch=order.batch,
        images=UNLIMITED,
        max_seconds=max(order.seconds - (spent or 0.0), 1e-3),
        device=order.device,
        resume=spent is not None,
        save_seconds=SAVE_SECONDS,
        snapshot_images=SNAPSHOT_IMAGES,
        provenance={"data": ", ".join(Path(path).name for path in order.data)},
    )
    pictures = read_dataset(order.data, recipe.side(model, trainer), minimum=order.batch)
    if pictures.skipped:
        name, reason = pictures.skipped[0]
        state = noted(state, f"{len(pictures.skipped)} pictures were skipped; the first is {name[:80]}: {reason}")
    state = told(state, stage=TRAINING, seconds=spent or 0.0)
    return follow(state, fit(recipe, model, trainer, pictures, options, wishes.stop), spent or 0.0)


def follow(state: RunState, job: Any, spent: float) -> RunState:
    """Drive a run to its end, telling of it about once a second."""
    began = shown = time.monotonic()
    for progress in job:
        now = time.monotonic()
        losses = {name: value for name, value in progress.metrics.items() if math.isfinite(value)}
        state = replace(state, images=progress.step, seconds=spent + now - began, losses=losses or state.losses)
        if progress.note and progress.result is None:
            state = noted(state, progress.note)
        if progress.preview is not None:
            prune(state)
        if progress.note or progress.preview is not None or now - shown >= STATUS_SECONDS:
            shown = now
            write_status(state)
    return replace(state, seconds=min(state.seconds, saved_seconds(state.out) or state.seconds))


def noted(state: RunState, note: str) -> RunState:
    """The state with one note more."""
    return replace(state, notes=(*state.notes, note)[-MAX_NOTES:])


def prune(state: RunState) -> None:
    """Keep the last snapshots alone."""
    for file in sorted((state.folder / "model.run" / "snapshots").glob("*.png"))[:-SNAPSHOTS]:
        with suppress(OSError):
            file.unlink()


def saved_seconds(out: Path) -> float | None:
    """Training time of the state beside a checkpoint, or None where there is none that can be read."""
    import torch

    with suppress(Exception):  # none yet, or damaged: the run begins anew
        return float(torch.load(out.with_suffix(".state.pt"), weights_only=True)["seconds"])
    return None


def publish(state: RunState, library: Path) -> RunState:
    """Put the model into the library, with a card."""
    if not state.out.exists():
        return noted(state, "It was stopped before its first save, so no model was kept.")
    order, place = state.order, library / f"{state.order.name}.safetensors"
    with atomic_write(place) as beside:
        shutil.copyfile(state.out, beside)
    settings = ", ".join(f"{name} {value}" for name, value in order.model.items()) or "the recipe's own settings"
    with atomic_write(place.with_suffix(".md")) as beside:
        beside.write_text(
            f"# {order.name}\n\nTrained in the Lab by the recipe `{order.recipe}` ({settings}) on "
            f"{', '.join(Path(path).name for path in order.data)}: {state.images} pictures seen in "
            f"{state.seconds / 60:.0f} minutes.\n\nIts quality has not been measured; `studio evaluate` does that.\n",
            encoding="utf-8",
        )
    return noted(state, f"The model {order.name} is in the library.")


def spare_threads() -> int:
    """Threads of a training: one core is left to the page, where there are several."""
    return max((os.cpu_count() or 1) - 1, 1)


def main(home: str) -> int:
    """Take up one run. Status 0 where there was nothing to do or it went as wished."""
    runs = Runs(Path(home))
    with holding(runs.folder / LOCK) as free:
        state = runs.next() if free else None
        if state is None:
            return 0
        if hasattr(os, "nice"):
            os.nice(NICE)
        import torch

        torch.set_num_threads(spare_threads())
        wishes = Wishes(state.folder)
        execute(state, wishes, runs.home / "models")
    if not wishes.signalled:
        runs.tend()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
