"""The objective study: GANs of five objectives, E-GAN, conditional GAN and VAE, at equal training time."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.core.errors import InvalidRequest
from studio.models import bounds
from studio.models.losses_gan import OBJECTIVES
from studio.study.document import table, write_document
from studio.study.grids import grid
from studio.study.plan import STUDIES, Common, Record, RunPlan, Study, named_once
from studio.study.plots import dots
from studio.study.records import write_summary
from studio.study.statistics import Spread, agreement, best_and_rivals, over_seeds

# metric → (what the document calls it, decimals)
FIGURES = {
    "kid": ("KID, lower is better", 4),
    "precision": ("precision", 3),
    "recall": ("recall", 3),
    "diversity-ratio": ("diversity, over real", 2),
    "novelty": ("novelty", 2),
}
OTHERS = {"egan": "E-GAN", "cdcgan": "conditional GAN", "vae": "VAE"}  # recipe → setting


@dataclass(frozen=True)
class ObjectiveStudy(Common):
    """seconds: of training, the same for every run. objectives: of plain GANs, joined by commas; others:
    of egan, cdcgan and vae. interval: steps from one generation to the next in a second E-GAN, 0 for none.
    vae_channels: of the VAE's 4 px map. vae_features: whether the VAE has its feature and
    adversarial losses.
    """

    seconds: float = 600.0
    objectives: str = "minimax,non_saturating,least_squares,hinge,relativistic"
    others: str = "egan,cdcgan,vae"
    interval: int = 30
    vae_channels: int = 128
    vae_features: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        bounds.real("seconds", self.seconds, 0.01, 1e6)
        bounds.whole("interval", self.interval, 0, 1_000_000)
        for name in filter(None, self.objectives.split(",")):
            OBJECTIVES[name]
        for name in filter(None, self.others.split(",")):
            bounds.one_of("others", name, tuple(OTHERS))

    @property
    def settings(self) -> tuple[tuple[str, str, dict[str, Any], dict[str, Any]], ...]:
        """(setting, recipe, model, trainer)."""
        rows: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
            (f"GAN {name.replace('_', '-')}", "dcgan", self.dcgan(), {"objective": name})
            for name in filter(None, self.objectives.split(","))
        ]
        for recipe in filter(None, self.others.split(",")):
            model, trainer = self.dcgan(), dict[str, Any]()
            if recipe == "vae":
                model = {"resolution": self.resolution, "channels": self.vae_channels}
                trainer = {} if self.vae_features else {"feature_weight": 0.0, "adversarial": 0.0}
            rows.append((OTHERS[recipe], recipe, model, trainer))
            if recipe == "egan" and self.interval:
                rows.append(
                    (f"{OTHERS[recipe]} every {self.interval} steps", recipe, model, {"interval": self.interval})
                )
        return tuple(rows)


def plans(study: ObjectiveStudy) -> tuple[RunPlan, ...]:
    """Seed by seed, so that a study that is broken off has whole rankings."""
    return named_once(
        [
            RunPlan(
                name=f"{setting.lower().replace(' ', '-')}-seed{seed}",
                setting=setting,
                recipe=recipe,
                model=model,
                trainer=trainer,
                seed=seed,
                batch=study.batch,
                seconds=study.seconds,
                precision=study.precision,
                device=study.device,
                features=study.features,
                count=study.count,
                novelty=True,
            )
            for seed in range(study.seeds)
            for setting, recipe, model, trainer in study.settings
        ]
    )


def report(records: Sequence[Record], folder: Path) -> Path:
    """Write OBJECTIVES.md and its pictures. Raises InvalidRequest where no run is finished."""
    if not records:
        raise InvalidRequest("No run of the study is finished; run it first.")
    figures = {metric: over_seeds(records, metric) for metric in FIGURES}
    plot = dots(folder / "objectives.svg", {FIGURES[metric][0]: spreads for metric, spreads in figures.items()})
    sheet = grid(records, folder / "objectives.webp")
    parts = [
        opening(records), "## What the figures say", verdict(records, figures), "## What a person says", "",
        "## Figures", f"![Five figures of each objective]({plot.name})", figures_table(records, figures),
        "## The same seeds", f"![Ten pictures by each model]({sheet.name})",
    ]  # fmt: skip
    write_summary(records, folder / "objectives.json")
    return write_document(folder / "OBJECTIVES.md", parts)


def opening(records: Sequence[Record]) -> str:
    """What was done, and how to do it again."""
    plan = records[0].plan
    seeds = len({record.plan.seed for record in records})
    sources = "\n".join(f"- {name.replace('_', '-')}: {OBJECTIVES[name].source}" for name in OBJECTIVES)
    return (
        "# What an objective does to a generator\n\n"
        f"Every run trains for {plan.seconds:g} seconds (the processor's, where it runs on one) on the same data and "
        f"machine, in {plan.precision}, with {seeds} seeds. The GANs, the E-GAN and the conditional GAN share one "
        f"DCGAN ({plan.model['resolution']} px). The figures are on `{plan.features.partition('=')[0]}` features of "
        f"{plan.count} pictures against held-out ones, as `studio evaluate` defines them: a novelty near 1 is that "
        "of real pictures, and far under 1 smells of copies. `studio study objectives` makes all of it again.\n\n"
        f"{sources}\n- E-GAN: Wang et al. 2018, arXiv 1803.00657"
    )


def figures_table(records: Sequence[Record], figures: Mapping[str, Mapping[str, Spread]]) -> str:
    """A row a setting, the lowest KID first."""
    kid = figures["kid"]
    order = sorted(kid, key=lambda setting: (math.isnan(kid[setting].mean), kid[setting].mean))
    rows = []
    for setting in order:
        own = [record for record in records if record.plan.setting == setting]
        steps = Spread(tuple(record.images / record.plan.batch for record in own if not record.failed))
        broken = sum(bool(record.failed) for record in own)
        seeds = f"{len(own)}" + (f" ({broken} broke down)" if broken else "")
        cells = (figures[metric][setting].text(decimals) for metric, (_, decimals) in FIGURES.items())
        rows.append([setting, *cells, f"{steps.mean:.0f}" if steps.values else "–", seeds])
    return table(["setting", *(words for words, _ in FIGURES.values()), "steps", "seeds"], rows)


def verdict(records: Sequence[Record], figures: Mapping[str, Mapping[str, Spread]]) -> str:
    """As far as the figures carry: the lowest KID and what is not told from it, E-GAN against the best objective."""
    kid = figures["kid"]
    best, rivals = best_and_rivals(kid)
    says = []
    if best:
        apart = f"not told from it by these seeds: {'; '.join(rivals)}" if rivals else "told from all the others"
        says.append(f"- **{best}** has the lowest mean KID ({kid[best].text()}), {apart}.")
    single = {setting: spread for setting, spread in kid.items() if setting.startswith("GAN ") and spread.values}
    for setting, spread in kid.items():
        if setting.startswith(OTHERS["egan"]) and spread.values and single:
            rival = min(single, key=lambda name: single[name].mean)
            ratio = spread.mean / single[rival].mean
            says.append(
                f"- {setting}: its mean KID ({spread.text()}) is {ratio:.2f} times that of the best single objective, "
                f"{rival} ({single[rival].text()})."
            )
    for metric in ("recall", "diversity-ratio"):
        measured = {setting: spread.mean for setting, spread in figures[metric].items() if spread.values}
        if len(measured) > 1:
            most, least = max(measured, key=lambda s: measured[s]), min(measured, key=lambda s: measured[s])
            words = FIGURES[metric][0]
            says.append(f"- Most {words}: {most} ({measured[most]:.2f}); least: {least} ({measured[least]:.2f}).")
    correlations = agreement(records, "kid")
    if correlations:
        mean = sum(correlations) / len(correlations)
        says.append(
            f"- The ranking by KID agrees between seeds with a mean Spearman correlation of {mean:.2f} "
            f"(lowest pair {min(correlations):.2f})."
        )
    broken = [f"{record.plan.name} ({record.failed})" for record in records if record.failed]
    if broken:
        says.append(f"- Broke down: {'; '.join(broken)}")
    return "\n".join(says) or "- No run could be judged."


def keeps(plan: RunPlan) -> bool:
    """The VAE is too large to be kept beside the others."""
    return plan.recipe != "vae"


STUDIES.add(
    "objectives",
    Study("objectives", ObjectiveStudy, plans, report, "five GAN objectives, E-GAN, conditional GAN and VAE", keeps),
)
