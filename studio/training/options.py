"""How long, how fast and where: the options that every recipe shares."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studio.core.errors import InvalidRequest

PRECISIONS = ("fp32", "bf16")


@dataclass(frozen=True)
class TrainOptions:
    """Options of a run.

    out: the checkpoint to write. batch: pictures a step and process. images: pictures to see in all (generated or real,
    counted once a step, over all processes). max_seconds: stop after so much training time in this call (None: no
    limit). seed: of everything drawn. precision: "fp32" or "bf16" (autocast). device: "auto", "cpu", "cuda" or "mps".
    resume: go on from the state beside `out`. init: a checkpoint whose generator the run starts from.
    ema_images: half-life of the moving average of the weights, in pictures. save_seconds: between two saves.
    snapshot_images: pictures between two snapshots of the fixed grid. keep: also keep the checkpoint of each snapshot.
    flip: mirror half of the real pictures. provenance: what the card must say of data and licence. clock: gives the
    seconds of training time; `time.process_time` counts what this process computed, and not what it waited for others.
    """

    out: Path
    batch: int = 16
    images: int = 200_000
    max_seconds: float | None = None
    seed: int = 0
    precision: str = "fp32"
    device: str = "auto"
    resume: bool = False
    init: Path | None = None
    ema_images: int = 5_000
    save_seconds: float = 180.0
    snapshot_images: int = 4_000
    keep: bool = False
    flip: bool = True
    provenance: dict[str, Any] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        for name, low in (("batch", 2), ("images", 1), ("ema_images", 1), ("snapshot_images", 1), ("save_seconds", 0)):
            if not getattr(self, name) >= low:
                raise InvalidRequest(f"{name} must be at least {low}; got {getattr(self, name)}.")
        if self.max_seconds is not None and not self.max_seconds > 0:
            raise InvalidRequest(f"max_seconds must be above 0; got {self.max_seconds}.")
        if not 0 <= self.seed < 2**63:
            raise InvalidRequest(f"seed must be from 0 to {2**63 - 1}; got {self.seed}.")
        if self.precision not in PRECISIONS:
            raise InvalidRequest(f"precision must be one of {', '.join(PRECISIONS)}; got {self.precision!r}.")
        if self.device not in ("auto", "cpu", "cuda", "mps"):
            raise InvalidRequest(f"device must be auto, cpu, cuda or mps; got {self.device!r}.")

    @property
    def state(self) -> Path:
        """Training state for resume, beside the checkpoint; never published."""
        return self.out.with_suffix(".state.pt")

    @property
    def logs(self) -> Path:
        """Folder of the logs and snapshots, beside the checkpoint."""
        return self.out.with_suffix(".run")
