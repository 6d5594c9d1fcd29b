"""Settings of the recipe `meta`."""

from dataclasses import dataclass

from studio.adapt.student import StudentConfig
from studio.core.errors import InvalidRequest
from studio.training.set_batches import SHOTS

ALGORITHMS = ("reptile", "fomaml")
OUTERS = ("interpolate", "adam")
LEAST_QUERIES = 5
INNER = (
    *("optimiser", "learning_rate", "embedding_rate", "judge_rate", "weights", "condition", "adversarial"),
    *("energy", "diversity", "augment"),
)


@dataclass(frozen=True)
class MetaTraining:
    """Settings.

    learner: file of the learner that the run starts from, beside --init. column, smallest_task, smallest_class,
    held_out: as in `sets`. algorithm: of ALGORITHMS. tasks: episodes in an outer step. inner_steps: of the student in
    each. queries: most pictures that judge an adapted student. augment_tasks: whether tasks get new palettes.
    outer: of OUTERS, how the outer step is taken; a straight line towards the students' ends by a share that falls from
    first_step to last_step over the run, or Adam of outer_rate. encoder_rate: Adam's, of the set encoder; 0 leaves it.
    rates: whether factors on the inner rates are learned, by Adam of rates_rate. judge: a weights file of VGG16 for a
    figure in the log, which decides nothing. class_start: the student's `embedding`, a name that the model's settings
    have already. The others: as in `StudentConfig`.
    """

    learner: str = ""
    column: str = "artist"
    smallest_task: int = 20
    smallest_class: int = 300
    held_out: int = 16
    algorithm: str = "reptile"
    tasks: int = 4
    inner_steps: int = 10
    queries: int = 20
    augment_tasks: bool = True
    outer: str = "interpolate"
    outer_rate: float = 1e-4
    first_step: float = 0.3
    last_step: float = 0.05
    encoder_rate: float = 1e-4
    rates: bool = False
    rates_rate: float = 1e-2
    judge: str = ""
    optimiser: str = "adam"
    learning_rate: float = 3e-4
    embedding_rate: float = 3e-3
    judge_rate: float = 6e-4
    weights: str = "all"
    class_start: str = "set"
    condition: bool = True
    adversarial: bool = True
    energy: float = 0.0
    diversity: float = 2.0
    augment: str = "translation"

    def __post_init__(self) -> None:
        least = (("smallest_task", min(SHOTS) + LEAST_QUERIES), ("smallest_class", 1), ("held_out", 1), ("tasks", 1))
        for name, low in (*least, ("inner_steps", 1), ("queries", LEAST_QUERIES)):
            if not getattr(self, name) >= low:
                raise InvalidRequest(f"{name} must be at least {low}; got {getattr(self, name)}.")
        for name, known in (("algorithm", ALGORITHMS), ("outer", OUTERS)):
            if getattr(self, name) not in known:
                raise InvalidRequest(f"{name} must be one of {', '.join(known)}; got {getattr(self, name)!r:.40}.")
        for name in ("outer_rate", "first_step", "last_step", "rates_rate"):
            if not 0 < getattr(self, name) <= 1:
                raise InvalidRequest(f"{name} must be above 0 and at most 1; got {getattr(self, name)}.")
        if not 0 <= self.encoder_rate < 1:
            raise InvalidRequest(f"encoder_rate must be from 0 to below 1; got {self.encoder_rate}.")
        if self.algorithm == "fomaml" and self.outer != "adam":
            raise InvalidRequest("fomaml gives gradients and no ends to move towards; set outer=adam.")
        if self.rates and self.algorithm != "fomaml":
            raise InvalidRequest("reptile teaches no rates; set algorithm=fomaml, or leave rates off.")
        self.student(2)

    def student(self, batch: int) -> StudentConfig:
        """How an inner step is taken."""
        same = {name: getattr(self, name) for name in INNER}
        return StudentConfig(batch=batch, embedding=self.class_start, **same)
