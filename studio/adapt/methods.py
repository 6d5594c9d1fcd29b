"""The table of adaptation methods."""

from dataclasses import dataclass, field

from studio.adapt.student import StudentConfig
from studio.core.registry import Registry


@dataclass(frozen=True)
class Method:
    """A row of the table. student: how steps are taken. scratch: whether the generator starts from random weights.
    steps: at most so many, None for as many as the time allows."""

    name: str
    summary: str
    student: StudentConfig = field(default_factory=StudentConfig)
    scratch: bool = False
    steps: int | None = None


METHODS: Registry[Method] = Registry("adaptation method")
for _method in (
    Method(
        "meta",
        "from the meta-learned start: the embedding of the set, then a few steps by the distance to the pictures",
        # a start so near needs no haste, and heads would soon know the pictures by heart
        StudentConfig(learning_rate=1e-4, embedding_rate=1e-3, adversarial=False, energy=1.0, octaves=3),
        steps=100,  # by the figures 40 would do, but figures and faces come out further on
    ),
    Method(
        "embed",
        "the embedding of the set alone, at once and without a step",
        StudentConfig(weights="none", octaves=3),
        steps=0,
    ),
    Method(
        "finetune",
        "plain fine-tuning of the jointly trained generator and discriminator, which know nothing of the set",
        StudentConfig(embedding="mean", condition=False, learned_rates=False, octaves=3),
    ),
    Method(
        "scratch",
        "from random weights, to see what the start is worth",
        StudentConfig(embedding="mean", condition=False, heads="fresh", learned_rates=False),
        scratch=True,
    ),
):
    METHODS.add(_method.name, _method)
