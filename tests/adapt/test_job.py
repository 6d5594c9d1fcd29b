"""The job: its clock, its snapshots, and why it ends."""

import dataclasses
from collections.abc import Callable, Mapping

import pytest
import torch
from few_shots import TINY, ToyLite0, grainy, tiny
from torch import Tensor

from studio.adapt import job
from studio.adapt.choose import Candidate, choose
from studio.adapt.job import Adapted, Budget, adapt, schedule, tuned_state
from studio.adapt.methods import METHODS, Method
from studio.adapt.parts import Parts
from studio.adapt.student import Student, StudentConfig, synthesise
from studio.adapt.watch import Watch, Watched
from studio.core.errors import InvalidRequest
from studio.core.progress import Progress
from studio.models.gan import GanGenerator

QUICK = Method("quick", "", StudentConfig(batch=2, learning_rate=2e-3, augment=""))


class Clock:
    """Goes on by some seconds at every reading."""

    def __init__(self, each: float) -> None:
        self.now, self.each = -each, each

    def __call__(self) -> float:
        self.now += self.each
        return self.now


def run(
    budget: Budget,
    method: Method = QUICK,
    clock: Callable[[], float] | None = None,
    pictures: Tensor | None = None,
    seed: int = 0,
) -> list[Progress[Adapted]]:
    base, learner = tiny()
    own = grainy((220, 40, 40), 5, 1) if pictures is None else pictures
    return list(adapt(base, learner, ToyLite0(), own, method, budget, seed, clock=clock or Clock(0.0)))


def steps(items: list[Progress[Adapted]]) -> list[int]:
    """Step numbers in order; the parts of a look repeat one."""
    return list(dict.fromkeys(item.step for item in items))


def a_second_a_step(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    stepping = Student.stepping

    def timed(student: Student) -> Parts[Mapping[str, float]]:
        clock.now += 1.0
        return stepping(student)

    monkeypatch.setattr(Student, "stepping", timed)


def test_looks_come_early_and_then_evenly() -> None:
    assert schedule(80.0) == pytest.approx([2.4, 8.0, 10, 20, 30, 40, 50, 60, 70])


def test_the_guard_ends_the_job_with_the_reserve_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(0.0)
    a_second_a_step(clock, monkeypatch)
    items = run(Budget(10.0), clock=clock)
    # after step k the clock reads k; 10 s less the reserve of 0.4 s are over at the tenth
    assert steps(items) == list(range(11))
    assert items[-1].result is not None
    assert items[-1].metrics["seconds_left"] == pytest.approx(0.0)
    assert all(item.result is None for item in items[:-1])
    # looks are due at 0.3, 1, 1.25, 2.5, 3.75, 5, 6.25, 7.5 and 8.75 s, and at the end
    assert items[-1].result.at == (0, 1, 2, 3, 4, 5, 7, 8, 9, 10)
    assert [snapshot.seconds for snapshot in items[-1].result.snapshots] == [0, 1, 2, 3, 4, 5, 7, 8, 9, 10]


def test_a_limit_of_steps_ends_it_before_the_time() -> None:
    items = run(Budget(1000.0, steps=3))
    assert steps(items) == [0, 1, 2, 3]
    assert {item.total for item in items} == {3}
    done = items[-1].result
    assert done is not None
    assert (done.at, done.best, done.stopped) == ((0, 3), 1, "")
    watched = {"energy", "novelty", "diversity"}
    assert done.curves.keys() == {*watched, "generator", "discriminator", "lack_of_diversity"}


def test_embedding_alone_is_there_at_once() -> None:
    *parts, item = run(Budget(60.0), METHODS["embed"])
    assert {part.step for part in parts} <= {0}
    assert item.result is not None
    assert item.result.kept.step == 0
    assert not item.result.kept.tuned


def test_the_same_seed_gives_the_same_pictures() -> None:
    first, second, other = (run(Budget(60, steps=2), seed=seed)[-1].result for seed in (0, 0, 1))
    assert first is not None
    assert second is not None
    assert other is not None
    assert torch.equal(first.kept.pictures, second.kept.pictures)
    assert torch.equal(first.kept.embedding, second.kept.embedding)
    assert not torch.equal(first.kept.pictures, other.kept.pictures)


@pytest.mark.parametrize("octaves", [0, 2])
def test_a_snapshot_paints_its_preview_again(octaves: int) -> None:
    method = dataclasses.replace(QUICK, student=dataclasses.replace(QUICK.student, octaves=octaves))
    done = run(Budget(60.0, steps=4), method, seed=3)[-1].result
    assert done is not None
    base, _ = tiny()
    for snapshot in done.snapshots:
        model = GanGenerator(TINY, 2).eval()
        model.load_state_dict(tuned_state(base, snapshot))
        z = torch.randn(job.LOOKED_AT, TINY.latent_dim, generator=torch.Generator().manual_seed(4))[: job.SHOWN]
        with torch.no_grad():
            model.gains = snapshot.log_gains.exp() if octaves else None
            painted = job.shown(synthesise(model, z, snapshot.embedding))
        assert (painted.int() - snapshot.pictures.int()).abs().max() <= 1  # its weights are kept in float16
    assert not torch.equal(done.snapshots[0].pictures, done.kept.pictures)
    assert done.before.shape == (job.SHOWN, 3, 32, 32)


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (Watched(0.5, 0.3, 2, 1.0, (2,)), "Stopped: the samples began to copy picture 3."),
        (Watched(1.0, 0.0, None, 0.6, (0,)), "Stopped: the samples began to look alike."),
    ],
)
def test_it_stops_with_a_reason_and_keeps_the_snapshot_before(
    seen: Watched, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fine = Watched(1.0, 0.0, None, 1.0, (0,))
    looks = iter([fine, fine, seen])
    monkeypatch.setattr(Watch, "look", lambda self, samples: next(looks))
    clock = Clock(0.0)
    a_second_a_step(clock, monkeypatch)
    items = run(Budget(10.0), clock=clock, pictures=grainy((9, 9, 9), 4, 1))
    assert steps(items) == [0, 1, 2]
    assert items[-1].note == reason
    done = items[-1].result
    assert done is not None
    assert (done.stopped, len(done.snapshots), done.best, done.kept.step) == (reason, 3, 1, 1)


@pytest.mark.parametrize("count", [2, 21])
def test_too_few_and_too_many_pictures_are_refused(count: int) -> None:
    with pytest.raises(InvalidRequest, match=f"needs 3 to 20 pictures; got {count}"):
        run(Budget(1.0), pictures=grainy((0, 0, 0), count, 0))


@pytest.mark.parametrize(("values", "sentence"), [((0.0,), "above 0"), ((9.0, -1), "steps must be from 0")])
def test_budgets_out_of_range_are_refused(values: tuple[float, ...], sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        Budget(*values)  # type: ignore[arg-type]


def candidates() -> list[Candidate]:
    """A base whose colours are as they are, and one that was made better: it paints red whatever its noise."""
    base, learner = tiny()
    better, _ = tiny()
    with torch.no_grad():
        better.colour.weight.zero_()
        assert better.colour.bias is not None
        better.colour.bias.copy_(torch.tensor([2.0, -2.0, -2.0]))
    still = dataclasses.replace(METHODS["embed"], name="still")
    return [Candidate("plain", base, learner, still), Candidate("better", better, learner, still)]


def test_the_candidate_that_was_made_better_is_chosen() -> None:
    red = grainy((245, 10, 10), 6, 0)
    items = list(choose(candidates(), ToyLite0(), red, 0, 60.0, job.nullcontext, Clock(0.0)))
    assert items[-1].result is not None
    assert items[-1].result.name == "better"
    found = items[-1].metrics
    assert found["better, still"] < 0.5 * found["plain, still"]


@pytest.mark.parametrize(("most", "taken"), [(None, 4), (40, 4), (2, 2), (0, 0)])
def test_a_trial_is_short_whatever_the_method_may_do(most: int | None, taken: int) -> None:
    """An item a part of a step: as many distinct steps are told of as a trial takes."""
    base, learner = tiny()
    method = dataclasses.replace(METHODS["finetune"], steps=most)
    pair = [Candidate("one", base, learner, method), Candidate("two", base, learner, method)]
    items = list(choose(pair, ToyLite0(), grainy((245, 10, 10), 6, 0), 0, 60.0, job.nullcontext, Clock(0.0)))
    assert len({item.step for item in items[:-1] if item.step < 4}) == taken


def test_where_the_time_is_over_the_first_candidate_stays() -> None:
    red = grainy((245, 10, 10), 6, 0)
    (item,) = choose(candidates(), ToyLite0(), red, 0, 1.0, job.nullcontext, Clock(2.0))
    assert item.result is not None
    assert (item.result.name, item.metrics) == ("plain", {})


def test_two_pictures_are_too_few_to_keep_one_back() -> None:
    (item,) = choose(candidates(), ToyLite0(), grainy((245, 10, 10), 2, 0), 0, 60.0, job.nullcontext, Clock(0.0))
    assert item.result is not None
    assert item.result.name == "plain"
