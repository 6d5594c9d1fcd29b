"""One run of the proof of adaptation: one arm, towards a few pictures of one artist, judged again and again."""

import os
import re
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from studio.adapt.job import shown, started
from studio.adapt.methods import METHODS, Method
from studio.adapt.parts import whole
from studio.adapt.student import Student, StudentConfig
from studio.adapt.watch import Watch
from studio.core import bfloat16, checkpoint
from studio.core.dataset import ImageSet, read_dataset
from studio.core.errors import InvalidRequest
from studio.core.memory import keep_freed_memory
from studio.evaluation.features import FeatureNet, describe, feature_net, likenesses
from studio.evaluation.metrics import kernel_distance, precision_recall
from studio.meta.episodes import EpisodeSampler, Task, tasks
from studio.models.gan import GanGenerator
from studio.models.learner import Learner
from studio.models.lite0 import Lite0Features

T = TypeVar("T")
STEPS = (0, 2, 5, 10, 20, 50, 100)  # after which a run is judged, besides the end of its time
QUERIES, LEAST_QUERIES = 40, 5  # pictures of an artist that judge
BATCH = 32  # pictures drawn or described at once
WATCHED = 32  # samples by which the studio itself watches an adaptation
STRIP = 8  # pictures kept of a run for people to look at
LOOKED_AT = 10  # step of which such pictures are kept, besides the end
HASH = re.compile("[0-9a-f]{64}")  # in the place of a base whose file is gone: its runs can still be told of


@dataclass(frozen=True)
class Arm:
    """What is compared. student: how steps are taken, None where there are none. scratch: from random weights. steps:
    after which it ends, though there be time left; None to use all of it."""

    summary: str
    student: StudentConfig | None
    scratch: bool = False
    steps: int | None = None


_FINETUNE = replace(METHODS["finetune"].student, octaves=0)
_OURS = Arm(
    "ours: embedding of the set, a few steps by the energy distance, octaves matched",
    METHODS["meta"].student,
    steps=METHODS["meta"].steps,
)
ARMS: dict[str, Arm] = {
    "none": Arm("the base as it is, its classes drawn equally often", None),
    "scratch": Arm("random weights, fresh heads", METHODS["scratch"].student, scratch=True),
    "finetune": Arm("plain fine-tuning of the jointly trained players", _FINETUNE),
    "freezeD": Arm(
        "fine-tuning with the two shallowest heads frozen, after Mo et al. 2020 (arXiv 2002.10964)",
        replace(_FINETUNE, frozen_heads=2),
    ),
    "figr": Arm(
        "Reptile on both players, SGD inside, after Clouâtre & Demers 2019 (arXiv 1901.02199)",
        replace(
            _FINETUNE,
            batch=4,
            optimiser="sgd",
            learning_rate=1e-3,
            embedding_rate=1e-3,
            judge_rate=1e-3,
            diversity=0.0,
            augment="",
        ),
    ),
    "embed": Arm("ours without a step: embedding of the set, octaves matched", METHODS["embed"].student, steps=0),
    "meta": _OURS,
    "reptile": replace(_OURS, summary="ours, from a start that Reptile moved on by the same steps (arXiv 1803.02999)"),
    "fomaml": replace(_OURS, summary="ours, from one that first-order MAML moved on by them (arXiv 1703.03400)"),
}
OWN_START = ("figr", "reptile", "fomaml")  # arms whose base an outer loop of `studio train meta` has made


@dataclass(frozen=True)
class Setting:
    """What all runs share.

    bases, rates, step_seconds: by arm; "" is every other arm's. budget: seconds of an idle machine of so many cores.
    step_seconds: what a step takes there; where it is not given, the process time over the cores. most: steps after
    which a run is broken off, whose end is then not known. at: steps after which a run is judged, besides the end of
    its time.
    """

    archives: tuple[str, ...]
    features: str
    out: str
    bases: Mapping[str, str]
    rates: Mapping[str, float] = field(default_factory=dict)
    budget: float = 60.0
    cores: int = 2
    step_seconds: Mapping[str, float] = field(default_factory=dict)
    most: int | None = None
    at: tuple[int, ...] = STEPS
    samples: int = 192
    device: str = "cpu"
    precision: str = "auto"
    threads: int = 1

    def base(self, arm: str) -> Path:
        """The generator that an arm starts from."""
        return Path(self.bases.get(arm, self.bases[""]))

    def step(self, arm: str) -> float | None:
        """Seconds that a step of an arm takes; None where they are measured."""
        return self.step_seconds.get(arm, self.step_seconds.get(""))


@dataclass(frozen=True)
class Case:
    """One run."""

    artist: str
    shots: int
    draw: int
    seed: int
    arm: str


def student_of(arm: str, rates: Mapping[str, float]) -> StudentConfig | None:
    """How an arm takes its steps; a rate that is given scales all three by the same factor."""
    config = ARMS[arm].student
    if config is None or arm not in rates:
        return config
    factor = rates[arm] / config.learning_rate
    return replace(
        config,
        learning_rate=rates[arm],
        embedding_rate=min(config.embedding_rate * factor, 1.0),
        judge_rate=min(config.judge_rate * factor, 1.0),
    )


def artists(data: ImageSet, least: int) -> tuple[Task, ...]:
    """Those with enough pictures for the smallest support."""
    return tasks(data, least + LEAST_QUERIES)


class Workplace:
    """What a process holds for its runs: the data, the judge, and what is known of each artist."""

    def __init__(self, setting: Setting) -> None:
        torch.set_num_threads(setting.threads)
        keep_freed_memory()
        self.setting, self.device = setting, torch.device(setting.device)
        half = setting.precision == "bf16" or (
            setting.precision == "auto" and (self.device.type != "cpu" or bfloat16.speed_up() > 1)
        )
        self.autocast: Callable[[], AbstractContextManager[object]] = partial(
            torch.autocast, self.device.type, torch.bfloat16, enabled=half
        )
        self.half = half
        self.net = feature_net(setting.features, self.device)
        self.features = _placed(Lite0Features(), self.device)
        self.models: dict[Path, tuple[GanGenerator, Learner]] = {}
        side = self.model(setting.base(""))[0].resolution
        self.data = read_dataset(setting.archives, side, column="artist")
        self.tasks = {task.name: task for task in artists(self.data, 1)}
        self.sampler = EpisodeSampler(self.data, tuple(self.tasks.values()), (1,), QUERIES, LEAST_QUERIES)
        self.judges: dict[str, Judge] = {}

    def model(self, path: Path) -> tuple[GanGenerator, Learner]:
        """A generator and the learner beside it, which must be of one run."""
        if path not in self.models:
            found = checkpoint.load(path)
            beside = checkpoint.load(path.with_name(f"{path.stem}-learner.safetensors"))
            if beside.config.get("generator") != found.sha256:
                raise InvalidRequest(f"{beside.path.name} did not learn with {path.name}; give two files of one run.")
            base, learner = found.build(), beside.build_module()
            assert isinstance(base, GanGenerator)
            assert isinstance(learner, Learner)
            self.models[path] = (_placed(base, self.device), _placed(learner, self.device))
        return self.models[path]

    def judge(self, artist: str) -> "Judge":
        """What is known of an artist's pictures."""
        if artist not in self.judges:
            self.judges[artist] = Judge(self.net, self.autocast, self.data, self.tasks[artist])
        return self.judges[artist]


def _placed(model: T, device: torch.device) -> T:
    placed: T = model.to(device, memory_format=torch.channels_last)  # type: ignore[attr-defined]
    return placed


def drained(work: Generator[Any, None, T]) -> T:
    """The result of a job whose progress nobody watches."""
    while True:
        try:
            next(work)
        except StopIteration as stop:
            result: T = stop.value
            return result


class Judge:
    """Scores samples against an artist's query pictures, and against the support."""

    def __init__(
        self,
        net: FeatureNet,
        autocast: Callable[[], AbstractContextManager[object]],
        data: ImageSet,
        task: Task,
    ) -> None:
        self.net, self.autocast, self.images = net, autocast, data.images[torch.tensor(task.index)]
        self.rows = {place: row for row, place in enumerate(task.index)}
        with autocast():
            self.pooled = drained(describe(net, self.images, torch.zeros(len(self.images)).long(), BATCH)).pooled
            self.like, mirrored = (drained(likenesses(net, x, BATCH)) for x in (self.images, self.images.flip(3)))
        self.between = torch.minimum(_distances(self.like, self.like), _distances(self.like, mirrored))
        self.own = self.between.fill_diagonal_(torch.inf).min(dim=1).values.clamp_min(1e-6)

    def real_copies(self, support: Tensor) -> tuple[int, int]:
        """The count of copies among the artist's other works, each taken for a sample and out of the works that a
        picture's own neighbour is sought among. support: places in the data. → (how many count as copies, of all)."""
        own = [self.rows[int(place)] for place in support]
        others = [row for row in range(len(self.images)) if row not in own]
        first = self.between[own].topk(2, dim=1, largest=False)
        counted = 0
        for row in others:
            left = torch.where(first.indices[:, 0] == row, first.values[:, 1], first.values[:, 0])
            counted += bool((self.between[own, row] < left).any())
        return counted, len(others)

    def planted(self, copies: Tensor, support: Tensor) -> float:
        """Share of pictures made from the support, in its order, that count as copies. copies: (N,3,R,R) uint8."""
        own = [self.rows[int(place)] for place in support]
        with self.autocast():
            like = drained(likenesses(self.net, copies, BATCH))
        return float(((like - self.like[own]).double().norm(dim=1) < self.own[own]).double().mean())

    def score(self, samples: Tensor, support: Tensor, query: Tensor, seed: int) -> dict[str, float]:
        """samples: (N,3,R,R) uint8. support, query: places in the data. novelty: median over the samples of the
        distance to the nearest picture of the support, as it is or mirrored, over that picture's own distance to the
        nearest other work of the artist; copies: share of samples where that is below 1."""
        with self.autocast():
            drawn = drained(describe(self.net, samples, torch.zeros(len(samples)).long(), BATCH))
            like, mirrored = (drained(likenesses(self.net, x, BATCH)) for x in (samples, samples.flip(3)))
        real = self.pooled[[self.rows[int(place)] for place in query]]
        own = [self.rows[int(place)] for place in support]
        to = torch.minimum(_distances(like, self.like[own]), _distances(mirrored, self.like[own]))
        ratios = (to / self.own[own]).min(dim=1).values
        precision, recall = precision_recall(real, drawn.pooled, seed=seed)
        return {
            f"kid-{self.net.name}": kernel_distance(real, drawn.pooled),
            "precision": precision,
            "recall": recall,
            "diversity": drawn.diversity,
            "novelty": float(ratios.median()),
            "copies": float((ratios < 1).float().mean()),
        }


def _distances(a: Tensor, b: Tensor) -> Tensor:
    return torch.cdist(a.double(), b.double(), compute_mode="donot_use_mm_for_euclid_dist")


@dataclass
class Stopwatch:
    """Time spent on the adaptation itself, not on judging it."""

    setting: Setting
    step: float | None = None  # seconds
    cpu: float = 0.0
    wall: float = 0.0
    steps: int = 0
    start: float = 0.0  # seconds of an idle machine before the first step

    def time(self, work: Callable[[], T]) -> T:
        cpu, wall = time.process_time(), time.perf_counter()
        result = work()
        self.cpu += time.process_time() - cpu
        self.wall += time.perf_counter() - wall
        return result

    @property
    def seconds(self) -> float:
        """What an idle machine would have needed."""
        if self.step is None:
            return self.wall if self.setting.device != "cpu" else self.cpu / self.setting.cores
        return self.start + self.steps * self.step


def run(place: Workplace, case: Case) -> dict[str, Any]:
    """One run → its record: points with step, seconds, cpu, wall and the metrics; end: the point where the time is
    over, or the steps."""
    setting, arm, config = place.setting, ARMS[case.arm], student_of(case.arm, place.setting.rates)
    base, learner = place.model(setting.base(case.arm))
    support, query = place.sampler.fixed_places(place.tasks[case.artist], case.shots, case.draw)
    watch, points = Stopwatch(setting, setting.step(case.arm)), list[dict[str, Any]]()
    z = torch.randn(setting.samples, base.latent_dim, generator=torch.Generator().manual_seed(10_000 + case.seed))
    judge = place.judge(case.artist)

    def point(paint: Callable[[Tensor], Tensor], more: Callable[[Tensor], dict[str, Any]], end: bool) -> None:
        with torch.no_grad(), place.autocast():
            samples = torch.cat([shown(paint(part.to(place.device))) for part in z.split(BATCH)])
            scores = {**judge.score(samples, support, query, case.seed), **more(samples)}
        when = {"step": watch.steps, "seconds": watch.seconds, "cpu": watch.cpu, "wall": watch.wall}
        points.append({**when, "end": end, **scores})
        if case.draw == 0 and case.seed == 0 and (end or watch.steps == LOOKED_AT):
            strip(samples[:STRIP], place, case, "end" if end else str(LOOKED_AT))

    if config is None:
        labels = torch.randint(base.class_count, (len(z),), generator=torch.Generator().manual_seed(case.seed))
        weights = iter(F.one_hot(labels, base.class_count).float().to(place.device).split(BATCH))
        point(lambda part: base(part, next(weights)), lambda _: {}, True)
        strip(place.data.images[support[:STRIP]], place, replace(case, arm="support"), "end")
    else:
        _adapt(place, case, arm, config, watch, point, (base, learner, support))
    return {
        **asdict(case),
        **identity(setting, case.arm),
        "support": [place.data.files[int(k)] for k in support],
        "query": len(query),
        "half": place.half,
        "device": place.device.type,
        "start": watch.start,
        "end": next((index for index, found in enumerate(points) if found["end"]), None),
        "points": points,
    }


def _adapt(
    place: Workplace,
    case: Case,
    arm: Arm,
    config: StudentConfig,
    watch: Stopwatch,
    point: Callable[[Callable[[Tensor], Tensor], Callable[[Tensor], dict[str, Any]], bool], None],
    task: tuple[GanGenerator, Learner, Tensor],
) -> None:
    base, learner, support = task
    random = torch.Generator().manual_seed(case.seed)

    def begin() -> Student:
        fresh = started(base, Method(case.arm, "", config, arm.scratch), case.seed)
        return Student(fresh, learner, place.features, place.data.images[support], config, random)

    with place.autocast():
        student = watch.time(begin)
    if watch.step is None:
        watch.start = watch.seconds
    else:
        watch.start = watch.cpu / place.setting.cores
    looks = torch.Generator().manual_seed(case.seed + 1)
    looked_at = torch.randn(WATCHED, base.latent_dim, generator=looks).to(place.device)
    eyes: list[Watch] = []

    def watched(samples: Tensor) -> dict[str, Any]:
        x = samples[:WATCHED].to(place.device).float().div(127.5).sub(1)
        seen = student.encoder.unit(student.discriminator.describe(x)).float().cpu()
        if not eyes:
            eyes.append(Watch(student.unit[0].float().cpu(), seen))
        return {"verdict": eyes[0].look(seen).verdict}

    for what in moments(place.setting, arm.steps, watch):
        if what == "step":
            with place.autocast():
                watch.time(student.step)
            watch.steps += 1
        else:
            with torch.no_grad(), place.autocast():
                watch.time(lambda: whole(student.look(looked_at, BATCH)))
            point(student.show, watched, what == "end")


def moments(setting: Setting, limit: int | None, watch: Stopwatch) -> Iterator[str]:
    """What a run does next: "step", "judge" or "end", which is to judge it where its time is over; the fixed steps that
    come after that are still taken. limit: steps after which the arm ends by itself."""
    last, ended = max(setting.at) if setting.most is None else setting.most, False
    while True:
        out = limit is not None and watch.steps >= limit
        broken = setting.most is not None and watch.steps >= setting.most
        if not ended and (out or watch.seconds >= setting.budget):
            ended = True
            yield "end"
        elif broken or watch.steps in setting.at:
            yield "judge"
        if broken or (ended and (out or watch.steps >= last)):
            return
        yield "step"


def strip(pictures: Tensor, place: Workplace, case: Case, when: str) -> None:
    """Keep some pictures side by side."""
    row = torch.cat(list(pictures), dim=2).permute(1, 2, 0).contiguous().numpy()
    path = Path(place.setting.out) / "strips" / case.artist / f"{case.shots}-{case.arm}-{when}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{os.getpid()}.png")
    Image.fromarray(np.ascontiguousarray(row)).save(beside)
    beside.replace(path)


def identity(setting: Setting, arm: str) -> dict[str, Any]:
    """What must agree for a record to be one of this plan's. The seconds come of the machine, and are left out."""
    path = setting.base(arm)
    config = student_of(arm, setting.rates)
    return {
        "base": path.name if HASH.fullmatch(path.name) else checkpoint.load(path).sha256,
        "student": None if config is None else asdict(config),
        "steps": ARMS[arm].steps if ARMS[arm].steps else None,
        "features": setting.features.partition("=")[0],
        "samples": setting.samples,
        "budget": setting.budget,
    }


def covers(record: Mapping[str, Any], setting: Setting) -> bool:
    """Whether a record of this plan was judged wherever the plan asks for it; one that was broken off may not be."""
    steps, arm = {point["step"] for point in record["points"]}, ARMS[record["arm"]]
    limits = [0 if arm.student is None else arm.steps, setting.most]
    last = min((limit for limit in limits if limit is not None), default=max(setting.at))
    ended = record["end"] is not None or (setting.most is not None and setting.most in steps)
    return ended and all(step in steps for step in setting.at if step <= last)
