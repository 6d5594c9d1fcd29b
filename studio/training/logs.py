"""What a run writes for people: a JSONL log, TensorBoard events where it is installed, snapshots of a fixed grid."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from PIL import Image

from studio.core.errors import OutputError
from studio.core.images import save_png


class RunLog:
    """Writes under one folder: log.jsonl, snapshots/NNNNNNNN.png and TensorBoard events.

    resumed_at: pictures seen at the start; later lines of an earlier, broken-off run are dropped from the JSONL log.
    """

    def __init__(self, folder: Path, resumed_at: int = 0) -> None:
        self.folder = folder
        try:
            (folder / "snapshots").mkdir(parents=True, exist_ok=True)
            kept = _lines_until(folder / "log.jsonl", resumed_at)
            (folder / "log.jsonl").write_text("".join(kept), encoding="utf-8")
            self._lines = (folder / "log.jsonl").open("a", encoding="utf-8")
        except OSError as error:
            raise OutputError(
                f"The log folder {folder} cannot be written ({error.strerror}); choose another."
            ) from error
        self._board = _summary_writer(folder, resumed_at)

    @property
    def has_board(self) -> bool:
        """Whether TensorBoard events are written."""
        return self._board is not None

    def losses(self, images: int, values: Mapping[str, float]) -> None:
        """One line of the log."""
        self._lines.write(json.dumps({"images": images, **values}) + "\n")
        self._lines.flush()
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, images)

    def snapshot(self, images: int, grid: Image.Image) -> Path:
        """Keep the picture of the fixed grid."""
        path = self.folder / "snapshots" / f"{images:08d}.png"
        save_png(grid, path)
        if self._board is not None:
            self._board.add_image("samples", np.asarray(grid), images, dataformats="HWC")
        return path

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()
        if self._board is not None:
            self._board.close()


def _lines_until(path: Path, images: int) -> list[str]:
    """Lines of an earlier log up to `images`; none for a fresh run."""
    if not images or not path.exists():
        return []
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["images"] <= images:
                kept.append(line + "\n")
        except (ValueError, KeyError, TypeError):
            continue  # a line cut off by a crash
    return kept


def _summary_writer(folder: Path, resumed_at: int) -> Any | None:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(folder, purge_step=resumed_at or None)
