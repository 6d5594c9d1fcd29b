"""An adapter is its base's difference: exact where the rank suffices, linear in its strength, checked at the door."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from adapting import OLD, TINY, adapter_of, save_adapter, save_base, tiny_base, tuned
from hypothesis import given, settings
from hypothesis import strategies as st
from sentences import assert_sentence
from strategies import json_values, mutated

from studio.core import checkpoint
from studio.core.errors import CheckpointError, InvalidRequest
from studio.core.octaves import scaled
from studio.models.adapter import MAX_PICTURES, Adapter, AdapterConfig, Difference, adapted, compress
from studio.models.gan import GanConfig, GanGenerator

ROWS = (torch.tensor([0.0, 2.0, 4.0, 6.0]), torch.tensor([1.0, 1.0, 1.0, 1.0]))
HASH = "0123456789abcdef" * 4


def learned(base: GanGenerator, state: dict[str, torch.Tensor], rank: int = 4) -> Adapter:
    return compress(base, state, base_sha256=HASH, base_name="base", embedding=ROWS, rank=rank)


def test_a_change_of_rank_one_is_kept_exactly() -> None:
    difference = Difference((3, 2, 2, 1), 1)
    change = (torch.tensor([[3.0], [0.0], [4.0]]) @ torch.tensor([[1.0, 2.0, 0.0, 2.0]])).view(3, 2, 2, 1)
    difference.fit_(change)
    assert (difference.get_buffer("left").shape, difference.get_buffer("right").shape) == ((3, 1), (1, 4))
    torch.testing.assert_close(difference.dense(), change, rtol=0, atol=1e-6)
    # one singular value, |(3,0,4)|·|(1,2,0,2)| = 5·3 = 15, shared by both factors
    torch.testing.assert_close(difference.get_buffer("left").norm(), torch.tensor(15.0).sqrt())


def test_of_a_change_of_rank_two_one_factor_keeps_the_larger_part() -> None:
    for shape in ((3, 4), (4, 3)):
        change = torch.zeros(shape)
        change[0, 1], change[2, 2] = 5.0, 1.0
        difference = Difference(shape, 1)
        difference.fit_(change)
        change[2, 2] = 0.0
        torch.testing.assert_close(difference.dense(), change, rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", [(7,), (), (4, 4), (2, 8)])
def test_what_is_smaller_in_full_is_kept_in_full(shape: tuple[int, ...]) -> None:
    difference = Difference(shape, 2)
    change = torch.arange(float(torch.Size(shape).numel())).view(shape)
    difference.fit_(change)
    assert list(difference.state_dict()) == ["full"]
    assert torch.equal(difference.dense(), change)


def test_a_state_that_the_rank_can_hold_comes_back() -> None:
    base = tiny_base()
    state = {}
    for name, parameter in base.named_parameters():
        ramp = torch.linspace(-1, 1, parameter.shape[0]).view(-1, *[1] * (parameter.ndim - 1))
        state[name] = parameter + 0.3 * ramp  # rank one
    after = dict(adapted(base, learned(base, state, rank=1), 1.0).named_parameters())
    for name, value in state.items():
        expected = torch.cat([value, ROWS[1][None]]) if name == "embedding" else value
        torch.testing.assert_close(after[name].detach(), expected.detach(), rtol=0, atol=1e-5)


def test_at_strength_0_every_old_class_is_the_base_s_to_the_last_bit() -> None:
    base = tiny_base()
    before = {name: value.clone() for name, value in base.state_dict().items()}
    model = adapted(base, learned(base, tuned(base)), 0.0)
    z = torch.randn(4, TINY.latent_dim, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for index in range(len(OLD)):
            old, new = torch.eye(2)[[index] * 4], torch.eye(3)[[index] * 4]
            assert torch.equal(model(z, new), base(z, old))
            assert torch.equal(model.w_mean[index], base.w_mean[index])
        assert not torch.equal(adapted(base, learned(base, tuned(base)), 1.0)(z, new), base(z, old))
    assert all(torch.equal(value, before[name]) for name, value in base.state_dict().items())
    assert (model.class_count, base.class_count, model.width) == (3, 2, base.width)
    assert not model.training


def test_every_tensor_is_linear_in_the_strength() -> None:
    base = tiny_base()
    adapter = learned(base, tuned(base))
    none, half, whole, twice = (adapted(base, adapter, s).state_dict() for s in (0.0, 0.5, 1.0, 2.0))
    for name in (name for name, value in none.items() if value.is_floating_point()):
        torch.testing.assert_close(half[name], (none[name] + whole[name]) / 2, rtol=0, atol=1e-5)
        torch.testing.assert_close(twice[name], 2 * whole[name] - none[name], rtol=0, atol=1e-5)


def test_the_new_class_goes_from_its_first_embedding_to_its_last() -> None:
    base = tiny_base()
    base.w_mean[:, : TINY.latent_dim] = torch.tensor([[1.0], [3.0]])
    adapter = learned(base, {})
    for strength, row in ((0.0, [0, 2, 4, 6]), (0.5, [0.5, 1.5, 2.5, 3.5]), (1.0, [1] * 4), (2.0, [2, 0, -2, -4])):
        model = adapted(base, adapter, strength)
        assert model.embedding is not None
        torch.testing.assert_close(model.embedding[-1].detach(), torch.tensor(row, dtype=torch.float32))
        expected = torch.tensor([2.0] * TINY.latent_dim + [float(value) for value in row])
        torch.testing.assert_close(model.w_mean[-1], expected)


def test_the_centres_of_the_old_classes_follow_their_embeddings() -> None:
    base = tiny_base()
    assert base.embedding is not None
    model = adapted(base, learned(base, {"embedding": base.embedding + 1}), 0.5)
    moved = torch.tensor([0.0] * TINY.latent_dim + [0.5] * TINY.embedding)
    torch.testing.assert_close(model.w_mean[:2], base.w_mean + moved, rtol=0, atol=1e-6)


def test_a_base_without_classes_stays_without() -> None:
    base = tiny_base(0)
    adapter = compress(base, tuned(base), base_sha256=HASH, base_name="base", rank=4)
    model = adapted(base, adapter, 0.0)
    z = torch.randn(2, TINY.latent_dim, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(model(z), base(z))
        assert not torch.equal(adapted(base, adapter, 1.0)(z), base(z))
    assert (model.class_count, model.embedding) == (0, None)
    assert not [name for name in adapter.state_dict() if "embedding" in name or "w_mean" in name]


@torch.no_grad()
def test_the_file_for_the_largest_published_base_stays_under_one_and_a_half_megabytes(tmp_path: Path) -> None:
    config = AdapterConfig(base_classes=8, pictures=MAX_PICTURES)  # GanConfig's defaults are those of `paintings`
    assert (config.gan, config.side) == (GanConfig(resolution=128, latent_dim=128, embedding=64, capacity=1.0), 64)
    path = tmp_path / "adapter.safetensors"
    about: dict[str, Any] = {"kind": "adapter", "classes": ["mine"], "provenance": {"note": "x" * 2000}, "metrics": {}}
    saved = checkpoint.save(path, Adapter(config, 1), config=config, **about)
    assert 1_400_000 < saved.size <= 1_500_000


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"base": "abc"}, "64 hexadecimal digits"),
        ({"base": HASH.upper()}, "64 hexadecimal digits"),
        ({"base_name": ""}, "1 to 80 printable"),
        ({"base_name": "a\nb"}, "1 to 80 printable"),
        ({"base_classes": 256}, "from 0 to 255"),
        ({"rank": 0}, "from 1 to 256"),
        ({"pictures": 21}, "from 0 to 20"),
        ({"side": 10**9}, "from 16 to 128"),
        ({"capacity": 9.0}, "capacity"),
    ],
)
def test_a_config_out_of_bounds_is_one_sentence(change: dict[str, Any], part: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        AdapterConfig(**change)
    assert_sentence(refused.value, part)


def test_what_an_adapter_cannot_carry_is_one_sentence() -> None:
    base = tiny_base()
    for state, part in (
        ({"other": torch.zeros(1)}, "no tensor of the base"),
        ({"embedding": torch.zeros(3, 4)}, "another shape"),
        ({"start_norm.running_mean": base.state_dict()["start_norm.running_mean"] + 1}, "eval mode"),
    ):
        with pytest.raises(InvalidRequest) as refused:
            learned(base, state)
        assert_sentence(refused.value, part)
    learned(base, dict(base.state_dict()))
    for other, rows in ((base, None), (tiny_base(0), ROWS)):
        with pytest.raises(InvalidRequest, match="embedding of a new one"):
            compress(other, {}, base_sha256=HASH, base_name="base", embedding=rows)


def test_another_base_or_a_strength_out_of_bounds_is_one_sentence() -> None:
    base = tiny_base()
    adapter = learned(base, {})
    with pytest.raises(CheckpointError, match="does not fit its base 'base'"):
        adapted(tiny_base(3), adapter, 1.0)
    for strength in (-0.1, 2.1, float("nan")):
        with pytest.raises(InvalidRequest, match="from 0 to 2"):
            adapted(base, adapter, strength)


def test_a_saved_adapter_comes_back(tmp_path: Path) -> None:
    adapter = adapter_of(save_base(tmp_path / "base.safetensors"))
    path = tmp_path / "mine.safetensors"
    checkpoint.save(
        path,
        adapter,
        kind="adapter",
        config=adapter.config,
        classes=["mine"],
        provenance={},
        metrics={},
        dtype=torch.float32,
    )
    again = checkpoint.load(path).build_module()
    state = again.state_dict()
    assert state.keys() == adapter.state_dict().keys()
    assert all(torch.equal(value, state[name]) for name, value in adapter.state_dict().items())


GAINS = torch.tensor([[0.5, 0.25, 0.25], [1.0, 0.5, 2.0]])


def with_gains(base: GanGenerator) -> Adapter:
    return compress(base, {}, base_sha256=HASH, base_name="base", embedding=ROWS, rank=4, log_gains=GAINS.log())


def test_gains_on_the_octaves_follow_the_strength_as_a_power() -> None:
    base = tiny_base()
    adapter = with_gains(base)
    assert adapter.config.octaves == 2
    for strength, expected in ((0.5, GAINS.sqrt()), (1.0, GAINS), (2.0, GAINS.square())):
        found = adapted(base, adapter, strength).gains
        assert found is not None
        torch.testing.assert_close(found, expected)
    assert adapted(base, adapter, 0.0).gains is None
    assert base.gains is None
    w = torch.randn(2, base.layers, base.width, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        painted = adapted(base, adapter, 1.0).synthesis(w)
        torch.testing.assert_close(painted, scaled(base.synthesis(w), GAINS).clamp(-1, 1))


def test_gains_of_a_file_are_bounded() -> None:
    base = tiny_base()
    adapter = with_gains(base)
    assert adapter.log_gains is not None
    adapter.log_gains.copy_(torch.tensor([[6e4, -6e4, 0.0], [1.0, 1.0, 1.0]]))  # float16 holds such a number
    found = adapted(base, adapter, 2.0).gains
    assert found is not None
    torch.testing.assert_close(found[0].log(), torch.tensor([4.0, -4.0, 0.0]))


def test_an_adapter_with_gains_comes_back(tmp_path: Path) -> None:
    adapter = with_gains(tiny_base())
    about = {"kind": "adapter", "config": adapter.config, "classes": ["mine"], "provenance": {}, "metrics": {}}
    checkpoint.save(tmp_path / "mine.safetensors", adapter, **about)  # type: ignore[arg-type]
    again = checkpoint.load(tmp_path / "mine.safetensors").build_module()
    assert isinstance(again, Adapter)
    assert again.log_gains is not None
    torch.testing.assert_close(again.log_gains.exp(), GAINS, rtol=1e-3, atol=0)


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("adapter")
    return save_adapter(folder / "mine.safetensors", save_base(folder / "base.safetensors")).contents()


def attack(data: bytes) -> None:
    """Whatever the bytes, an adapter or a sentence, and nothing large."""
    try:
        opened = checkpoint.read(data, "file.safetensors")
        module = opened.build_module()
    except CheckpointError as error:
        assert_sentence(error)
        return
    assert isinstance(module, Adapter)
    assert sum(tensor.numel() for tensor in module.state_dict().values()) * 2 <= len(data)
    assert len(opened.classes) == 1


@settings(max_examples=40)
@given(data=st.data())
def test_a_damaged_adapter_is_one_sentence(valid: bytes, data: st.DataObject) -> None:
    attack(data.draw(mutated(valid)))


@settings(max_examples=40)
@given(data=st.data())
def test_any_value_in_any_place_of_its_description_is_one_sentence(valid: bytes, data: st.DataObject) -> None:
    length = int.from_bytes(valid[:8], "little")
    header = json.loads(valid[8 : 8 + length])
    about = json.loads(header["__metadata__"]["atelier"])
    numbers = st.sampled_from([0, 1, 2, 20, 255, 256, 2**40, 0.05, 4.0])
    table = data.draw(st.sampled_from([about, about["config"], about["config"]]))
    table[data.draw(st.sampled_from([*table, "new"]))] = data.draw(numbers | json_values())
    header["__metadata__"]["atelier"] = json.dumps(about)
    text = json.dumps(header).encode("utf-8", "surrogatepass")
    attack(struct.pack("<Q", len(text)) + text + valid[8 + length :])


@pytest.mark.parametrize("names", [[], ["a", "b"]])
def test_an_adapter_of_no_or_two_names_is_one_sentence(valid: bytes, names: list[str], tmp_path: Path) -> None:
    about: dict[str, Any] = {"kind": "adapter", "classes": names, "provenance": {}, "metrics": {}}
    adapter = checkpoint.read(valid, "mine").build_module()
    assert isinstance(adapter, Adapter)
    with pytest.raises(CheckpointError) as refused:
        checkpoint.save(tmp_path / "a.safetensors", adapter, config=adapter.config, **about)
    assert_sentence(refused.value, "names one class", f"got {len(names)}")
