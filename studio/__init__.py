"""Atelier: a studio of small generative models that answers while you move a slider.

    from studio import Engine

    engine = Engine()
    sample = engine.render("paintings", 7, classes={"landscape": 0.7, "seascape": 0.3})
    sample.save("painting.png")

Names are imported when they are first used, so that ``import studio`` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from studio.core.errors import StudioError
    from studio.core.progress import Progress, result_of
    from studio.engine import (
        AdaptRequest,
        ClassesRequest,
        Engine,
        Mix,
        Pictures,
        SampleRequest,
        Seeded,
        Style,
        StylizeRequest,
        Variation,
        WalkRequest,
    )
    from studio.settings import Settings

__version__ = "0.1.0"
__all__ = [
    "AdaptRequest",
    "ClassesRequest",
    "Engine",
    "Mix",
    "Pictures",
    "Progress",
    "SampleRequest",
    "Seeded",
    "Settings",
    "StudioError",
    "Style",
    "StylizeRequest",
    "Variation",
    "WalkRequest",
    "result_of",
]

_HOMES = {
    "Progress": "studio.core.progress",
    "Settings": "studio.settings",
    "StudioError": "studio.core.errors",
    "result_of": "studio.core.progress",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES.get(name, "studio.engine")), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
