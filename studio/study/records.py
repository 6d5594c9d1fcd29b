"""What a study keeps on disk: its settings, its pictures read once, and a folder a run."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from studio.core.dataset import ImageSet
from studio.core.errors import DataError, OutputError
from studio.core.files import atomic_write
from studio.study.plan import Record, RunPlan

TRAINING, REFERENCE = "training", "reference"  # pictures
CACHE = "cache"  # folder of features
TRAINED, DONE = "trained.json", "record.json"  # records


def run_folder(folder: Path, plan: RunPlan) -> Path:
    """Where a run keeps its plan, state, logs and record."""
    return folder / "runs" / plan.name


def write_json(path: Path, value: object) -> None:
    """Whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, allow_nan=False), encoding="utf-8")


def read_json(path: Path) -> Any:
    """The value, or None where there is no such file or it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def write_record(record: Record, name: str = DONE) -> None:
    """Beside the run: TRAINED before it is judged, DONE after."""
    told = dataclasses.asdict(record)
    del told["folder"]
    write_json(record.folder / name, told)


def read_record(folder: Path, plan: RunPlan, name: str = DONE) -> Record | None:
    """The record of a run, or None. Raises OutputError where the folder holds a run of another plan."""
    own = run_folder(folder, plan)
    told = read_json(own / name)
    if told is None:
        return None
    if not plan.same_as(told.get("plan")):
        raise OutputError(
            f"{own.name} in {folder.name} was run with other settings; choose another --out or remove that run."
        )
    return Record(plan, own, **{key: value for key, value in told.items() if key != "plan"})


def finished(folder: Path, plans: Sequence[RunPlan]) -> list[Record]:
    """The records that are there, in the order of the plans."""
    found = (read_record(folder, plan) for plan in plans)
    return [record for record in found if record is not None]


def write_summary(records: Sequence[Record], path: Path) -> Path:
    """What plots need of the records, as a JSON list in their form: gradients as the mean over a network's layers."""
    told = [
        {
            "plan": {
                "setting": record.plan.setting,
                "seed": record.plan.seed,
                "features": record.plan.features.partition("=")[0],
            },
            "metrics": {name: _short(value) for name, value in record.metrics.items()},
            "probes": [
                {
                    "images": probe["images"],
                    "gradients": {
                        player: {"mean": _short(sum(norms.values()) / len(norms))}
                        for player, norms in probe["gradients"].items()
                        if norms
                    },
                }
                for probe in record.probes
            ],
        }
        for record in records
    ]
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(told, separators=(",", ":"), allow_nan=False) + "\n", encoding="utf-8")
    return path


def _short(value: float) -> float:
    """With five significant digits."""
    return float(f"{value:.5g}")


def _of_any_seeds(told: Any) -> Any:
    """What a folder is for, without the number of seeds."""
    if not isinstance(told, dict) or not isinstance(told.get("settings"), dict):
        return told
    return {**told, "settings": {name: value for name, value in told["settings"].items() if name != "seeds"}}


def claim(folder: Path, study: str, settings: object) -> None:
    """Note what the folder is for. Raises OutputError where it holds another study or other settings.

    How many seeds there are may change: every run is of one, so a study grows by those that are missing.
    """
    mine = {"study": study, "settings": settings}
    before = read_json(folder / "study.json")
    if before is not None and _of_any_seeds(before) != _of_any_seeds(mine):
        difference = _difference(_of_any_seeds(before), _of_any_seeds(mine))
        raise OutputError(f"{folder.name} holds a study with other settings ({difference}); choose another --out.")
    if before != mine:
        write_json(folder / "study.json", mine)


def _difference(before: Any, mine: dict[str, Any]) -> str:
    if not isinstance(before, dict) or before.get("study") != mine["study"]:
        return f"{before.get('study') if isinstance(before, dict) else 'unknown'}, not {mine['study']}"
    old, new = before.get("settings", {}), mine["settings"]
    name = next((key for key in {**old, **new} if old.get(key) != new.get(key)), "")
    return f"{name} was {old.get(name)}, is {new.get(name)}"


def keep_images(path: Path, images: ImageSet) -> None:
    """Write pictures as they are in memory, so that every run loads them in a moment."""
    about = json.dumps({"classes": list(images.classes), "files": list(images.files)})
    with atomic_write(path) as temporary:
        save_file({"images": images.images.contiguous(), "labels": images.labels}, temporary, {"about": about})


def kept_images(path: Path) -> ImageSet:
    """What `keep_images` wrote. Raises DataError where it is damaged or missing."""
    try:
        with safe_open(path, "pt") as file:
            about = json.loads(file.metadata()["about"])
            images, labels = file.get_tensor("images"), file.get_tensor("labels")
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path.name} of the study cannot be read ({type(error).__name__}); remove it.") from error
    return ImageSet(images.to(torch.uint8), labels, tuple(about["classes"]), tuple(about["files"]))
