"""Training state: everything a resumed run needs to equal the run that never stopped. Read with weights_only=True."""

import json
from pathlib import Path
from typing import Any

import torch

from studio.core.errors import TrainingError
from studio.core.files import atomic_write

FORMAT = 1


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers, strings and containers of them, beside and then renamed."""
    with atomic_write(path) as beside:
        torch.save({"format": FORMAT, **state}, beside)


def load_state(path: Path, identity: str) -> dict[str, Any]:
    """Read a state and check that it belongs to this recipe and configuration (a JSON text). Raises TrainingError."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise TrainingError(f"There is no training state {path.name} to resume from; start without --resume.") from None
    except Exception as error:
        raise TrainingError(
            f"The training state {path.name} cannot be read ({type(error).__name__}); start without --resume."
        ) from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise TrainingError(f"{path.name} is not a training state of format {FORMAT}; start without --resume.")
    if state.get("identity") != identity:
        raise TrainingError(
            f"The training state {path.name} was made with other settings "
            f"({difference(state.get('identity'), identity)}); resume with the same ones or start without --resume."
        )
    return state


def difference(old: object, new: str) -> str:
    """The first setting in which two identities differ, in words."""
    try:
        before, after = json.loads(str(old)), json.loads(new)
        name = next(key for key in after if before.get(key) != after[key])
        return f"{name} was {before.get(name)}, is {after[name]}"
    except (ValueError, StopIteration, AttributeError):
        return "an older version"
