"""Tasks held apart, and episodes whose every picture can be told by its colour."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from studio.core.dataset import ImageSet, read_dataset
from studio.core.errors import DataError, InvalidRequest, StudioError
from studio.meta.augment import TaskAugmentation
from studio.meta.episodes import Episode, EpisodeSampler, Task, held_apart, split, tasks

names = st.lists(st.text(min_size=1, max_size=8), min_size=2, max_size=30, unique=True)


def numbered(*sizes: int, stray: int = 0) -> ImageSet:
    """Tasks "t0", "t1", … of these sizes, after `stray` pictures without a label. Every pixel of picture i is i."""
    labels = torch.tensor([-1] * stray + [k for k, size in enumerate(sizes) for _ in range(size)])
    count = len(labels)
    images = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).expand(count, 3, 2, 2).contiguous()
    return ImageSet(images, labels, tuple(f"t{k}" for k in range(len(sizes))), tuple(map(str, range(count))))


def numbers(pictures: torch.Tensor) -> list[int]:
    return pictures[:, 0, 0, 0].tolist()


def same(first: Episode, second: Episode) -> bool:
    return (
        first.task == second.task
        and torch.equal(first.support, second.support)
        and torch.equal(first.query, second.query)
    )


def named(given: list[str]) -> list[Task]:
    return [Task(name, (place,)) for place, name in enumerate(given)]


def test_tasks_are_the_labels_with_enough_pictures() -> None:
    found = tasks(numbered(2, 4, 3, stray=1), 3)
    assert found == (Task("t1", (3, 4, 5, 6)), Task("t2", (7, 8, 9)))
    assert [len(task) for task in found] == [4, 3]


def test_too_few_pictures_and_no_labels_are_sentences() -> None:
    with pytest.raises(DataError, match="No task has 9 pictures; the largest, 't1', has 4"):
        tasks(numbered(2, 4), 9)
    with pytest.raises(DataError, match="No picture has a label"):
        tasks(numbered(stray=3), 1)


def test_folders_are_tasks(tmp_path) -> None:
    for folder, count in (("fruit", 3), ("faces", 2), ("flags", 1)):
        (tmp_path / folder).mkdir()
        for number in range(count):
            Image.new("RGB", (4, 4), (number, 0, 0)).save(tmp_path / folder / f"{number}.png")
    found = tasks(read_dataset([tmp_path], 4), 2)
    assert [(task.name, len(task)) for task in found] == [("faces", 2), ("fruit", 3)]


@given(given_names=names, share=st.floats(0.01, 0.99), seed=st.integers(0, 9), shuffle=st.randoms())
def test_a_split_is_disjoint_whole_and_blind_to_order(given_names, share, seed, shuffle) -> None:
    all_tasks = named(given_names)
    training, held_out = split(all_tasks, share, seed)
    held_apart(training, held_out)
    assert sorted(training + held_out, key=lambda t: t.index) == all_tasks
    assert len(held_out) == min(max(round(share * len(all_tasks)), 1), len(all_tasks) - 1)
    shuffle.shuffle(all_tasks)
    assert split(all_tasks, share, seed) == (training, held_out)


@given(given_names=names, share=st.floats(0.01, 0.99), newcomer=st.text(min_size=9, max_size=10))
def test_one_more_task_moves_at_most_one_other(given_names, share, newcomer) -> None:
    before = {task.name for task in split(named(given_names), share, 0)[1]}
    after = {task.name for task in split(named([*given_names, newcomer]), share, 0)[1]} - {newcomer}
    assert len(before ^ after) <= 1


def test_another_seed_is_another_split() -> None:
    all_tasks = named([f"artist-{i}" for i in range(40)])
    assert split(all_tasks, 0.25, 0) != split(all_tasks, 0.25, 1)


def test_tasks_of_one_name_from_two_sets_stay_together() -> None:
    doubled = named([f"a{i}" for i in range(10)] * 2)
    training, held_out = split(doubled, 0.3, 0)
    assert (len(training), len(held_out)) == (14, 6)
    held_apart(training, held_out)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, float("nan")])
def test_a_share_that_leaves_one_side_empty_is_refused(share: float) -> None:
    with pytest.raises(InvalidRequest, match="between 0 and 1"):
        split(named(["a", "b"]), share, 0)


def test_one_task_cannot_be_split() -> None:
    with pytest.raises(DataError, match="1 task cannot be split in two; at least 2"):
        split(named(["a"]), 0.5, 0)


def test_a_shared_task_is_named() -> None:
    with pytest.raises(StudioError, match="The task 'monet' is in both sets; take it out"):
        held_apart(named(["manet", "monet"]), named(["degas", "monet"]))
    with pytest.raises(StudioError, match="The task 'manet' and 1 more is in both sets"):
        held_apart(named(["manet", "monet"]), named(["monet", "manet"]))
    held_apart(named(["manet"]), named(["monet"]))


sizes = st.lists(st.integers(8, 40), min_size=1, max_size=4)


@given(sizes=sizes, seed=st.integers(0, 2**32 - 1), queries=st.integers(3, 30))
def test_an_episode_has_disjoint_pictures_of_one_task_and_the_right_counts(sizes, seed, queries) -> None:
    data = numbered(*sizes, stray=2)
    sampler = EpisodeSampler(data, tasks(data, 1), (5, 10, 20), queries, least_queries=3)
    episode = sampler.draw(torch.Generator().manual_seed(seed))
    support, query = numbers(episode.support), numbers(episode.query)
    assert len({*support, *query}) == len(support) + len(query)
    assert {*support, *query} <= set(episode.task.index)
    assert len(support) in (5, 10, 20)
    assert len(query) == min(queries, len(episode.task) - len(support)) >= 3
    assert episode.support.dtype == episode.query.dtype == torch.uint8
    assert same(episode, sampler.draw(torch.Generator().manual_seed(seed)))


def test_every_task_and_every_possible_size_is_drawn_about_equally_often() -> None:
    data = numbered(40, 16, 9)
    sampler = EpisodeSampler(data, tasks(data, 1), (5, 10, 20), least_queries=4)
    generator = torch.Generator().manual_seed(0)
    drawn = [(e.task.name, len(e.support)) for e in (sampler.draw(generator) for _ in range(1800))]
    share = {pair: drawn.count(pair) / 1800 for pair in set(drawn)}
    assert share == pytest.approx(
        {("t0", 5): 1 / 9, ("t0", 10): 1 / 9, ("t0", 20): 1 / 9, ("t1", 5): 1 / 6, ("t1", 10): 1 / 6, ("t2", 5): 1 / 3},
        abs=0.03,
    )


def test_every_picture_of_a_task_comes_to_be_support_and_query() -> None:
    data = numbered(12)
    sampler = EpisodeSampler(data, tasks(data, 1), (5,))
    generator = torch.Generator().manual_seed(0)
    episodes = [sampler.draw(generator) for _ in range(60)]
    assert {n for e in episodes for n in numbers(e.support)} == set(range(12))
    assert {n for e in episodes for n in numbers(e.query)} == set(range(12))


def test_drawn_episodes_are_augmented_and_fixed_ones_never() -> None:
    data = numbered(12)
    always = TaskAugmentation(flip=0, recolour=1, permute=0, invert=1, hue=0, saturation=(1, 1))
    plain, varied = (EpisodeSampler(data, tasks(data, 1), (5,), augmentation=a) for a in (None, always))
    before, after = (s.draw(torch.Generator().manual_seed(3)) for s in (plain, varied))
    assert torch.equal(after.support, 255 - before.support)
    assert torch.equal(after.query, 255 - before.query)
    assert same(varied.fixed(varied.tasks[0], 5, 0), plain.fixed(plain.tasks[0], 5, 0))


def test_a_fixed_episode_depends_on_the_task_the_shots_and_the_draw_alone() -> None:
    data = numbered(30, 25)
    first, second = tasks(data, 1)
    one = EpisodeSampler(data, (first, second))
    other = EpisodeSampler(data, (second,), shots=(5,))
    assert same(one.fixed(second, 10, 2), other.fixed(second, 10, 2))
    assert not torch.equal(one.fixed(second, 10, 2).support, one.fixed(second, 10, 3).support)


@given(st.integers(0, 100))
def test_fixed_supports_grow_and_their_queries_share_their_end(draw_index: int) -> None:
    data = numbered(32)
    sampler = EpisodeSampler(data, tasks(data, 1), queries=12)
    few, some, many = (sampler.fixed(sampler.tasks[0], shots, draw_index) for shots in (5, 10, 20))
    assert torch.equal(many.support[:10], some.support)
    assert torch.equal(some.support[:5], few.support)
    assert torch.equal(few.query, many.query)
    assert not {*numbers(many.support)} & {*numbers(many.query)}


def test_a_task_that_cannot_give_an_episode_is_named() -> None:
    data = numbered(30, 9)
    with pytest.raises(DataError, match="'t1' has 9 pictures; a support of 5 and a query of at least 5 need 10"):
        EpisodeSampler(data, tasks(data, 1))
    sampler = EpisodeSampler(data, tasks(data, 10))
    with pytest.raises(DataError, match=r"'t0' has 30 pictures; a support of 26 and .* need 31"):
        sampler.fixed(sampler.tasks[0], 26, 0)
    with pytest.raises(DataError, match="the support at least 1"):
        sampler.fixed(sampler.tasks[0], 0, 0)


@pytest.mark.parametrize("setting", [{"shots": ()}, {"shots": (0, 5)}, {"tasks": ()}])
def test_a_sampler_of_nothing_is_refused(setting) -> None:
    data = numbered(30)
    with pytest.raises(InvalidRequest, match="at least 1 task and 1 size"):
        EpisodeSampler(**{"data": data, "tasks": tasks(data, 1), **setting})


@pytest.mark.parametrize(("queries", "least"), [(4, 5), (3, 0)])
def test_queries_fewer_than_must_stay_are_refused(queries: int, least: int) -> None:
    data = numbered(30)
    with pytest.raises(InvalidRequest, match=f"got {least} and {queries}"):
        EpisodeSampler(data, tasks(data, 1), queries=queries, least_queries=least)
