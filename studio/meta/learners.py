"""The table of meta-learners, all with one form: a task's batches → what it says to the outer loop."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from studio.core.registry import Registry
from studio.meta.maml import MetaGradients, meta_gradients
from studio.meta.reptile import reptile_gradients


@dataclass(frozen=True)
class MetaLearner:
    """A way to learn a start. summary, source: for people.

    gradients: (module, support batches, query batch, loss, rates, steps, names=None) → MetaGradients. teaches_rates:
    whether it also gives a gradient to `LayerRates`.
    """

    name: str
    summary: str
    source: str
    gradients: Callable[..., MetaGradients]
    teaches_rates: bool


META_LEARNERS: Registry[MetaLearner] = Registry("meta-learner")


def _add(name: str, summary: str, source: str, gradients: Callable[..., MetaGradients], teaches_rates: bool) -> None:
    META_LEARNERS.add(name, MetaLearner(name, summary, source, gradients, teaches_rates))


_add(
    "reptile",
    "Adapts to a task, then moves the start a little towards where that ended; the cheapest.",
    "Nichol, Achiam & Schulman 2018, On first-order meta-learning algorithms, algorithm 1",
    reptile_gradients,
    teaches_rates=False,
)
_add(
    "fomaml",
    "Adapts to a task, then follows the gradient that pictures held back from it give there.",
    "Finn, Abbeel & Levine 2017, Model-agnostic meta-learning, section 5.2",
    partial(meta_gradients, first_order=True),
    teaches_rates=True,
)
_add(
    "maml",
    "As fomaml, but exact: differentiates through the adaptation itself; several times the memory and time.",
    "Finn, Abbeel & Levine 2017, Model-agnostic meta-learning, eq. 1 and algorithm 2",
    partial(meta_gradients, first_order=False),
    teaches_rates=True,
)
