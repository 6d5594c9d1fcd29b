"""The settings of an evaluation."""

import math
from dataclasses import dataclass

from studio.core.errors import InvalidRequest

MAX_COUNT = 100_000
MINIMUM = 8  # images on each side


@dataclass(frozen=True)
class EvaluationConfig:
    """features: names, each with =FILE where its weights come from a file. count: pictures to draw, of the seeds from
    `seed` on. truncation: ψ, 1 for none. batch: images described at once.
    """

    features: tuple[str, ...] = ("vgg16",)
    count: int = 1000
    truncation: float = 1.0
    seed: int = 0
    batch: int = 16

    def __post_init__(self) -> None:
        names = [spec.partition("=")[0] for spec in self.features]
        if not names or len(set(names)) < len(names):
            raise InvalidRequest(f"Name each feature network once; got: {', '.join(names) or 'none'}.")
        if not MINIMUM <= self.count <= MAX_COUNT:
            raise InvalidRequest(f"{self.count} pictures cannot be judged; draw between {MINIMUM} and {MAX_COUNT}.")
        if not (math.isfinite(self.truncation) and 0 <= self.truncation <= 2):
            raise InvalidRequest(f"The truncation {self.truncation} is out of range; choose from 0 to 2.")
        if not 0 <= self.seed <= 2**63 - 1 - self.count:
            raise InvalidRequest(f"The seed {self.seed} is out of range; choose a number from 0 to 2^63 − 1 − count.")
        if not 1 <= self.batch <= 1024:
            raise InvalidRequest(f"A batch of {self.batch} is out of range; choose from 1 to 1024.")
