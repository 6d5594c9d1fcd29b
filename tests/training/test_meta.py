"""The recipe `meta` on toy artists: outer steps worked by hand, two files again, and an exact resume."""

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from few_shots import TINY, ToyLite0, artists, tiny
from torch import Tensor

from studio.adapt.parts import whole
from studio.adapt.student import CLASS, Student, StudentConfig, rate_names
from studio.core import checkpoint
from studio.core.dataset import ImageSet
from studio.core.errors import InvalidRequest, TrainingError
from studio.core.progress import Progress
from studio.meta.episodes import Episode, Task
from studio.models.learner import Learner, SetDiscriminator
from studio.training.loop import fit
from studio.training.meta import MetaTrainer
from studio.training.meta_settings import MetaTraining
from studio.training.options import TrainOptions
from studio.training.recipe import RECIPES, StepContext

CONFIG = MetaTraining(smallest_task=10, smallest_class=10, held_out=1, tasks=2, inner_steps=2, augment="")
PER_STEP = 2 * 2 * 2  # tasks x inner steps x batch


@pytest.fixture(autouse=True)
def _toy_features(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SetDiscriminator.__init__, "__defaults__", (ToyLite0,))


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two files as `sets` publishes them."""
    path = tmp_path_factory.mktemp("start") / "s.safetensors"
    generator, learner = tiny()
    saved = checkpoint.save(
        path, generator, kind="gan", config=TINY, classes=("calm", "wild"), provenance={}, metrics={}
    )
    config = dataclasses.replace(learner.config, generator=saved.sha256)
    beside = path.with_name("s-learner.safetensors")
    checkpoint.save(beside, learner, kind="learner", config=config, classes=(), provenance={}, metrics={})
    return path


def settings(start: Path, **changes: object) -> MetaTraining:
    return dataclasses.replace(CONFIG, learner=str(start.with_name("s-learner.safetensors")), **changes)  # type: ignore[arg-type]


def options(out: Path, start: Path | None, **changes: object) -> TrainOptions:
    base = TrainOptions(out, batch=2, images=3 * PER_STEP, snapshot_images=10**6, device="cpu", save_seconds=1e9)
    return dataclasses.replace(base, init=start, **changes)  # type: ignore[arg-type]


def job(
    out: Path, start: Path, data: ImageSet | None = None, config: object = None, **changes: object
) -> list[Progress]:
    return list(
        fit(RECIPES["meta"], TINY, config or settings(start), data or artists(), options(out, start, **changes))
    )


def trainer(start: Path, **changes: object) -> MetaTrainer:
    one = MetaTrainer(TINY, settings(start, **changes), 2)
    one.model.generator.load_state_dict(checkpoint.load(start).build().state_dict())
    one.inner = one.config.student(2)
    return one


def episode(first: int) -> Episode:
    data = artists()
    places = range(first, first + 10)
    return Episode(Task("one", tuple(places)), data.images[first : first + 5], data.images[first + 5 : first + 10])


def context(images: int = 0) -> StepContext:
    return StepContext(Accelerator(cpu=True), torch.Generator().manual_seed(0), images)


def follow(one: MetaTrainer, episodes: list[Episode]) -> list[Student]:
    """The same students as the trainer's step will have, taken by hand."""
    random, found = torch.Generator().manual_seed(0), []
    for each in episodes:
        student = one.student(one.model, each.support, random)
        for _ in range(one.config.inner_steps):
            student.step()
        if one.config.algorithm == "fomaml":
            whole(student.differentiating(each.query.float().div(127.5).sub(1)))
        found.append(student)
    return found


def copies(one: MetaTrainer) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in one.starts.items()}


def test_reptile_moves_both_players_a_share_of_the_way_to_the_mean_of_the_students(start: Path) -> None:
    one = trainer(start, first_step=0.25, encoder_rate=0.0)
    before, students = copies(one), follow(one, [episode(0), episode(20)])
    one.step([episode(0), episode(20)], context())
    for name in ("colour.bias", "octaves.0.up.conv.weight", "heads.3.logit.parametrizations.weight.original"):
        ends = [{**student.adapted, **student.judging}[name].detach() for student in students]
        expected = before[name] + 0.25 * ((ends[0] + ends[1]) / 2 - before[name])
        torch.testing.assert_close(one.starts[name].detach(), expected)
        assert not torch.equal(one.starts[name], before[name])
    assert torch.equal(one.starts["embedding"], before["embedding"])  # only the new class is adapted


def test_the_share_falls_over_the_run(start: Path) -> None:
    one = trainer(start, first_step=0.3, last_step=0.1)
    one.total = 100
    one.step([episode(0)], context(images=50))
    assert one.outer.param_groups[0]["lr"] == pytest.approx(0.2)


@pytest.mark.parametrize("algorithm", ["reptile", "fomaml"])
def test_an_inner_loss_without_a_discriminator_moves_the_generator_alone(algorithm: str, start: Path) -> None:
    outer = "adam" if algorithm == "fomaml" else "interpolate"
    one = trainer(
        start, algorithm=algorithm, outer=outer, adversarial=False, energy=1.0, encoder_rate=0.0, first_step=0.5
    )
    before, (student,) = copies(one), follow(one, [episode(0)])
    losses = one.step([episode(0)], context())
    assert list(losses) == ["energy"]
    name = "colour.bias"
    moved = one.starts[name].detach() - before[name]
    if algorithm == "reptile":
        torch.testing.assert_close(moved, 0.5 * (student.adapted[name].detach() - before[name]))
    else:
        gradient = student.adapted[name].grad
        assert gradient is not None
        assert torch.equal(moved.sign(), -gradient.sign()), "the first step of Adam"
    assert all(torch.equal(one.starts[key].detach(), before[key]) for key in student.judging)


def test_fomaml_hands_the_querys_gradient_to_the_start(start: Path) -> None:
    one = trainer(start, algorithm="fomaml", outer="adam", outer_rate=1e-3, encoder_rate=0.0)
    before, (student,) = copies(one), follow(one, [episode(0)])
    one.step([episode(0)], context())
    for name in ("colour.bias", "heads.3.logit.parametrizations.weight.original"):
        gradient = {**student.adapted, **student.judging}[name].grad
        assert gradient is not None
        # Adam's first step is the rate, against the gradient's sign
        clear = gradient.abs() > 1e-5
        moved = (one.starts[name].detach() - before[name])[clear]
        torch.testing.assert_close(moved, -1e-3 * gradient[clear].sign(), rtol=1e-2, atol=1e-6)
        assert bool(clear.any())


def test_learned_rates_rise_where_going_further_would_have_helped_the_query(start: Path) -> None:
    one = trainer(start, algorithm="fomaml", outer="adam", rates=True, rates_rate=0.01, encoder_rate=0.0)
    before, (student,) = copies(one), follow(one, [episode(0)])
    learner = one.model.learner
    assert learner.log_rates is not None
    names = rate_names(one.model.generator, learner.judge)
    assert len(learner.log_rates) == len(names)
    assert float(learner.log_rates.detach().abs().max()) == 0.0
    one.step([episode(0)], context())
    for name in ("colour.bias", "colour.weight", "heads.3.logit.parametrizations.weight.original"):
        end = {**student.adapted, **student.judging}[name]
        assert end.grad is not None
        slope = float((end.grad * (end.detach() - before[name])).sum())
        assert abs(slope) > 1e-9
        assert float(learner.log_rates[names.index(name)]) == pytest.approx(-0.01 * math.copysign(1, slope), rel=1e-3)


def test_set_encoder_learns_what_the_embedding_was_wanted_to_be(start: Path) -> None:
    one = trainer(start, encoder_rate=2e-5, embedding_rate=0.05)
    (student,) = follow(one, [episode(0)])
    wanted, encoder = student.embedding.detach(), one.model.learner.encoder
    with torch.no_grad():
        before = float((encoder(student.described) - wanted).norm())
    one.step([episode(0)], context())
    with torch.no_grad():
        after = float((encoder(student.described) - wanted).norm())
    assert after < before
    assert student.now()[CLASS] is student.embedding


def test_figrs_scheme_can_be_set(start: Path) -> None:
    figr = settings(
        start,
        outer="adam",
        outer_rate=1e-4,
        optimiser="sgd",
        learning_rate=1e-3,
        judge_rate=1e-3,
        class_start="mean",
        condition=False,
        diversity=0.0,
        augment="",
        tasks=1,
    )
    student = figr.student(4)
    assert student == dataclasses.replace(
        StudentConfig(),
        batch=4,
        optimiser="sgd",
        learning_rate=1e-3,
        judge_rate=1e-3,
        embedding="mean",
        condition=False,
        diversity=0.0,
        augment="",
    )
    one = MetaTrainer(TINY, figr, 2)
    one.model.generator.load_state_dict(checkpoint.load(start).build().state_dict())
    before, encoder = copies(one), {n: p.clone() for n, p in one.model.learner.encoder.named_parameters()}
    (pupil,) = follow(one, [episode(0)])
    one.step([episode(0)], context())
    assert isinstance(pupil.optimiser, torch.optim.SGD)
    way = pupil.adapted["colour.bias"].detach() - before["colour.bias"]
    torch.testing.assert_close(
        one.starts["colour.bias"].detach() - before["colour.bias"], 1e-4 * way.sign(), rtol=1e-2, atol=1e-7
    )
    assert all(torch.equal(p, encoder[n]) for n, p in one.model.learner.encoder.named_parameters())


def test_it_publishes_both_files_with_learned_rates_and_its_lineage(start: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.safetensors"
    taught = settings(start, algorithm="fomaml", outer="adam", rates=True)
    items = job(out, start, config=taught, images=2 * PER_STEP, snapshot_images=2 * PER_STEP)
    assert [item.step for item in items[:-1]] == [PER_STEP, 2 * PER_STEP]
    generator, learner = checkpoint.load(out), checkpoint.load(tmp_path / "m-learner.safetensors")
    assert learner.config["generator"] == generator.sha256
    assert learner.config["rates"] > 0
    assert generator.provenance["init"][0]["sha256"] == checkpoint.load(start).sha256
    assert generator.provenance["stages"][0]["trainer"]["learner"] == "s-learner.safetensors"
    assert {"energy-before", "energy-after"} <= generator.metrics.keys()
    assert next(item.preview for item in items if item.preview is not None).width > 12 * 32
    base, own = generator.build(), learner.build_module()
    assert isinstance(own, Learner)
    assert own.log_rates is not None
    assert float(own.log_rates.detach().abs().max()) > 0
    pictures = artists().images[:5]
    student = Student(base, own, ToyLite0(), pictures, StudentConfig(batch=2), torch.Generator())  # type: ignore[arg-type]
    assert len({group["lr"] for group in student.optimiser.param_groups}) > 2


def test_run_stopped_and_resumed_equals_run_never_stopped(start: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    job(whole, start)
    first = fit(RECIPES["meta"], TINY, settings(start), artists(), options(parts, start))
    next(first)
    first.close()
    items = list(fit(RECIPES["meta"], TINY, settings(start), artists(), options(parts, None, resume=True)))
    assert (items[0].step, items[-1].step) == (2 * PER_STEP, 3 * PER_STEP)
    for suffix in ("", "-learner"):
        a, b = (checkpoint.load(p.with_name(f"{p.stem}{suffix}.safetensors")) for p in (whole, parts))
        assert all(torch.equal(x, b.tensors()[name]) for name, x in a.tensors().items())
        assert [one["sha256"] for one in b.provenance["init"]] == [checkpoint.load(start).sha256]


def test_held_out_artists_are_shown_and_never_drawn(
    start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: set[str] = set()
    honest = MetaTrainer.step

    def noted(self: MetaTrainer, episodes: list[Episode], context: StepContext) -> object:
        drawn.update(each.task.name for each in episodes)
        assert not {task.name for task in self.held_out} & drawn
        return honest(self, episodes, context)

    monkeypatch.setattr(MetaTrainer, "step", noted)
    job(tmp_path / "m.safetensors", start, config=settings(start, tasks=4, inner_steps=1), images=16)
    assert len(drawn) >= 2


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"learner": ""}, "give its generator by --init and its learner by"),
        ({"smallest_class": 30}, "No class has 30 pictures"),
        ({"smallest_class": 21}, "has the classes calm, wild, and the data have calm;"),
        ({"held_out": 4}, "Only 4 tasks have 10 pictures"),
    ],
)
def test_data_and_files_that_do_not_serve_are_refused(
    changes: dict[str, object], sentence: str, start: Path, tmp_path: Path
) -> None:
    data = artists()
    labels = torch.arange(len(data)) % 2
    labels[-1] = 0  # 22 calm ones, 20 wild ones
    data = dataclasses.replace(data, labels=labels)
    with pytest.raises(TrainingError, match=sentence):
        job(
            tmp_path / "m.safetensors",
            start,
            data,
            settings(start) if not changes else dataclasses.replace(settings(start), **changes),
        )  # type: ignore[arg-type]


def test_generator_and_learner_of_different_runs_are_refused(start: Path, tmp_path: Path) -> None:
    other = tmp_path / "o.safetensors"
    generator, _ = tiny()
    with torch.no_grad():
        generator.colour.weight.mul_(2)
    checkpoint.save(other, generator, kind="gan", config=TINY, classes=("calm", "wild"), provenance={}, metrics={})
    with pytest.raises(TrainingError, match=r"did not learn with o\.safetensors"):
        job(tmp_path / "m.safetensors", other, config=settings(start))
    with pytest.raises(TrainingError, match="starts from a generator of sets; give it by --init"):
        list(fit(RECIPES["meta"], TINY, settings(start), artists(), options(tmp_path / "m.safetensors", None)))
    with pytest.raises(TrainingError, match="is of kind 'gan'"):
        job(tmp_path / "m.safetensors", start, config=dataclasses.replace(CONFIG, learner=str(start)))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"algorithm": "maml"}, "algorithm must be one of reptile, fomaml"),
        ({"algorithm": "fomaml"}, "set outer=adam"),
        ({"rates": True}, "reptile teaches no rates; set algorithm=fomaml"),
        ({"smallest_task": 9}, "smallest_task must be at least 10"),
        ({"first_step": 0.0}, "first_step must be above 0"),
        ({"optimiser": "lion"}, "optimiser must be one of adam, sgd"),
    ],
)
def test_settings_out_of_range_are_refused(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        dataclasses.replace(CONFIG, **change)  # type: ignore[arg-type]
