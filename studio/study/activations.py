"""The activation study: what an activation does to a DCGAN, in the generator, in the discriminator, and by depth."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from studio.core.activations import ACTIVATIONS
from studio.core.errors import InvalidRequest
from studio.models import bounds
from studio.models.dcgan import DcganConfig
from studio.study.document import table, write_document
from studio.study.grids import grid
from studio.study.plan import STUDIES, Common, Record, RunPlan, Study, named_once
from studio.study.plots import Points, curves, dots
from studio.study.records import write_summary
from studio.study.statistics import Spread, agreement, best_and_rivals, over_seeds, reliability

GENERATOR, DISCRIMINATOR = DcganConfig().generator_activation, DcganConfig().discriminator_activation
ARROW = "→"
RANKED = {"kid": "KID", "precision": "precision", "diversity-ratio": "diversity"}
PLAYERS = (("model", "generator", "G"), ("discriminator", "discriminator", "D"))


@dataclass(frozen=True)
class ActivationStudy(Common):
    """steps: of every run. networks: where activations are tried, of generator, discriminator and both (both: mixed
    ones alone). activations: names; mixed: by depth, early+late. Lists are joined by commas. probes: how often
    gradients and units are looked at.
    """

    steps: int = 1500
    activations: str = "sigmoid,tanh,relu,leaky_relu,prelu,elu,gelu,silu"
    mixed: str = "relu+prelu,relu+elu"
    networks: str = "generator,discriminator,both"
    probes: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        bounds.whole("steps", self.steps, 1, 10**9)
        bounds.whole("probes", self.probes, 1, 1000)
        for name in self.single + tuple(part for pair in self.pairs for part in pair.split(",")):
            ACTIVATIONS[name]
        for network in self.networks.split(","):
            bounds.one_of("networks", network, ("generator", "discriminator", "both"))
        if not self.settings:
            raise InvalidRequest("The study has no setting; name activations, or mixed ones for both networks.")

    @property
    def single(self) -> tuple[str, ...]:
        return tuple(name for name in self.activations.split(",") if name)

    @property
    def pairs(self) -> tuple[str, ...]:
        """As DCGAN's config names them: "relu,prelu"."""
        return tuple(name.replace("+", ",") for name in self.mixed.split(",") if name)

    @property
    def settings(self) -> tuple[tuple[str, str], ...]:
        """(G's, D's) activations; while one is tried the other network keeps its own of the paper."""
        tried = {
            "generator": [(name, DISCRIMINATOR) for name in self.single + self.pairs],
            "discriminator": [(GENERATOR, name) for name in self.single + self.pairs],
            "both": [(name, name) for name in self.pairs],
        }
        return tuple(dict.fromkeys(pair for network in self.networks.split(",") for pair in tried[network]))


def plans(study: ActivationStudy) -> tuple[RunPlan, ...]:
    """Seed by seed, so that a study that is broken off has whole rankings."""
    return named_once(
        [
            RunPlan(
                name=f"dcgan-g-{slug(first)}-d-{slug(second)}-seed{seed}",
                setting=f"G {shown(first)}, D {shown(second)}",
                recipe="dcgan",
                model=study.dcgan(generator_activation=first, discriminator_activation=second),
                trainer={},
                seed=seed,
                batch=study.batch,
                images=study.steps * study.batch,
                precision=study.precision,
                device=study.device,
                probes=study.probes,
                features=study.features,
                count=study.count,
            )
            for seed in range(study.seeds)
            for first, second in study.settings
        ]
    )


def slug(names: str) -> str:
    """For a file's name."""
    return names.replace(",", "+")


def shown(names: str) -> str:
    """For people."""
    return names.replace(",", ARROW)


def report(records: Sequence[Record], folder: Path) -> Path:
    """Write ACTIVATIONS.md and its pictures. Raises InvalidRequest where no run is finished."""
    if not records:
        raise InvalidRequest("No run of the study is finished; run it first.")
    kid, step = over_seeds(records, "kid"), over_seeds(records, "step")
    dead = {key: over_probes(records, key) for key, _, _ in PLAYERS}
    panels = {"KID (lower is better)": kid, "seconds a step": step}
    panels |= {f"dead units in {short}, %": dead[key] for key, _, short in PLAYERS}
    names = [dots(folder / "activations.svg", panels), grid(records, folder / "activations.webp")]
    parts = [opening(records), "## What the figures say", verdict(records, kid, dead), "## What a person says", ""]
    parts += [
        "## Figures",
        f"![KID, step time and dead units]({names[0].name})",
        figures_table(records, kid, step, dead),
    ]
    parts += ["## The same seeds", f"![Ten pictures by each model]({names[1].name})", "## Gradients by layer"]
    for key, name, short in PLAYERS:
        path = curves(
            folder / f"activations-gradients-{short.lower()}.svg",
            gradients(records, key), "pictures seen", "norm of the weight's gradient",
        )  # fmt: skip
        parts.append(f"![Gradients of the {name} by layer over time]({path.name})")
    write_summary(records, folder / "activations.json")
    return write_document(folder / "ACTIVATIONS.md", parts)


def opening(records: Sequence[Record]) -> str:
    """What was done, and how to do it again."""
    plan = records[0].plan
    seeds = len({record.plan.seed for record in records})
    return (
        "# What an activation does to a DCGAN\n\n"
        f"Every run is the same DCGAN ({plan.model['resolution']} px, {plan.model['channels']} channels at 4 px) "
        f"and sees {plan.images} pictures in batches of {plan.batch}, in {plan.precision}; only the activations "
        f"differ, and the seed ({seeds} of them). KID is `kid-{plan.features.partition('=')[0]}` of {plan.count} "
        "pictures against held-out ones. A mixture like relu→prelu has the first in the early half of a network's "
        "layers and the second in the late half. The time of a step is the processor's where it runs on one. `studio "
        "study activations` makes all of it again.\n\n"
        "A unit is a channel. Behind a rectifier it is dead when it gives 0 or less at every place of 64 pictures; "
        "behind sigmoid or tanh, when its slope is under 5 % of the steepest at every place."
    )


def figures_table(
    records: Sequence[Record],
    kid: Mapping[str, Spread],
    step: Mapping[str, Spread],
    dead: Mapping[str, Mapping[str, Spread]],
) -> str:
    """A row a setting, the best first."""
    broken = {setting: sum(r.plan.setting == setting and bool(r.failed) for r in records) for setting in kid}
    order = sorted(kid, key=lambda setting: (math.isnan(kid[setting].mean), kid[setting].mean))
    rows = [
        [
            setting,
            kid[setting].text(),
            *(dead[key][setting].text(1) for key, _, _ in PLAYERS),
            Spread(tuple(1000 * value for value in step[setting].values)).text(0),
            str(len(kid[setting].values)) + (f" ({broken[setting]} broke down)" if broken[setting] else ""),
        ]
        for setting in order
    ]
    return table(["setting", "KID ± over seeds", "dead in G, %", "dead in D, %", "ms a step", "seeds"], rows)


def over_probes(records: Sequence[Record], key: str) -> dict[str, Spread]:
    """Dead units in % of a network, mean over its layers at the last look, over the seeds."""
    found: dict[str, list[float]] = {}
    for record in records:
        own = found.setdefault(record.plan.setting, [])
        if record.probes and not record.failed:
            layers = record.probes[-1]["dead"][key]
            own.append(100 * sum(layers.values()) / len(layers))
    return {setting: Spread(tuple(values)) for setting, values in found.items()}


def gradients(records: Sequence[Record], key: str) -> dict[str, dict[str, Points]]:
    """For each setting and layer the norm at each look, mean over the seeds that have it."""
    found: dict[str, dict[str, dict[int, list[float]]]] = {}
    for record in records:
        layers = found.setdefault(record.plan.setting, {})
        for probe in record.probes:
            for layer, norm in probe["gradients"][key].items():
                layers.setdefault(layer, {}).setdefault(probe["images"], []).append(norm)
    return {
        setting: {
            layer: [(images, sum(norms) / len(norms)) for images, norms in sorted(points.items())]
            for layer, points in layers.items()
        }
        for setting, layers in found.items()
    }


def verdict(records: Sequence[Record], kid: Mapping[str, Spread], dead: Mapping[str, Mapping[str, Spread]]) -> str:
    """As far as the figures carry: which is best in G, in D and over all, what is not told apart, what died."""
    says = []
    for where, chosen in (
        ("Of all settings", kid),
        ("In the generator", {s: v for s, v in kid.items() if s.endswith(f", D {DISCRIMINATOR}")}),
        ("In the discriminator", {s: v for s, v in kid.items() if s.startswith(f"G {GENERATOR},")}),
    ):
        best, rivals = best_and_rivals(chosen)
        if best and len(chosen) > 1:
            apart = f"not told from it by these seeds: {'; '.join(rivals)}" if rivals else "told from all the others"
            worst = max((s for s in chosen if chosen[s].values), key=lambda setting: chosen[setting].mean)
            says.append(
                f"- {where} **{best}** has the lowest mean KID ({chosen[best].text()}), {apart}. "
                f"The highest has {worst} ({chosen[worst].text()})."
            )
    stable = {words: agreement(records, metric) for metric, words in RANKED.items()}
    if stable["KID"]:
        told = ", ".join(
            f"{mean(found):.2f} by {words} (lowest {min(found):.2f})" for words, found in stable.items() if found
        )
        says.append(f"- The rankings of two seeds agree with a mean Spearman correlation of {told}.")
        count = len({record.plan.seed for record in records})
        means = ", ".join(
            f"{reliability(mean(found), count):.2f} by {words}" for words, found in stable.items() if found
        )
        says.append(
            f"- The rankings by the mean of {count} seeds would agree with those of {count} others by about {means} "
            "(Spearman and Brown)."
        )
    else:
        says.append("- With fewer than two seeds or two settings nothing can be said of how stable the ranking is.")
    for key, name, _ in PLAYERS:
        measured = {setting: spread for setting, spread in dead[key].items() if spread.values and spread.mean > 1}
        most = sorted(measured, key=lambda setting: -measured[setting].mean)[:3]
        listed = ", ".join(f"{setting} ({measured[setting].mean:.0f} %)" for setting in most)
        says.append(f"- Dead units in the {name}, where over 1 %: {listed or 'none'}.")
    broken = [f"{record.plan.name} ({record.failed})" for record in records if record.failed]
    if broken:
        says.append(f"- Broke down: {'; '.join(broken)}")
    return "\n".join(says)


def keeps(plan: RunPlan) -> bool:
    """Those that differ in the generator: a discriminator is no part of a model that paints."""
    return str(plan.model["discriminator_activation"]) == DISCRIMINATOR


STUDIES.add(
    "activations",
    Study("activations", ActivationStudy, plans, report, "DCGAN with every activation in G, in D and by depth", keeps),
)
