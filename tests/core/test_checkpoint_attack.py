"""Whatever a checkpoint file holds, only CheckpointError escapes, and nothing large is allocated."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from sentences import assert_sentence
from strategies import json_values, mutated

from studio.core.checkpoint import load, save
from studio.core.errors import CheckpointError
from studio.core.kinds import ModelKind


@pytest.fixture
def valid(tiny_kind: ModelKind, tmp_path: Path) -> bytes:
    path = tmp_path / "valid.safetensors"
    model = tiny_kind.build(tiny_kind.config(), 2)
    save(path, model, kind="tiny", config=tiny_kind.config(), classes=["a", "b"], provenance={}, metrics={"kid": 0.5})
    return path.read_bytes()


def attack(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    try:
        opened = load(path)
        model = opened.build()
    except CheckpointError as error:
        assert_sentence(error)
        return
    assert sum(tensor.numel() for tensor in model.state_dict().values()) < 100_000
    assert opened.size == len(data)
    with torch.no_grad():
        weights = torch.zeros(1, len(opened.classes)) if opened.classes else None
        assert model(torch.zeros(1, model.latent_dim), weights).shape == (1, 3, model.resolution, model.resolution)


def split(data: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def joined(header: Any, data: bytes) -> bytes:
    text = json.dumps(header).encode("utf-8", "surrogatepass")
    return struct.pack("<Q", len(text)) + text + data


@given(data=st.binary(max_size=200))
@example(data=b"")
@example(data=struct.pack("<Q", 2) + b"{}")
def test_random_bytes(tiny_kind: ModelKind, tmp_path: Path, data: bytes) -> None:
    attack(tmp_path / "a.safetensors", data)
    attack(tmp_path / "a.safetensors", struct.pack("<Q", len(data)) + data)


@given(data=st.data())
def test_damaged_files(valid: bytes, tmp_path: Path, data: st.DataObject) -> None:
    attack(tmp_path / "a.safetensors", data.draw(mutated(valid)))


@given(data=st.data())
def test_damaged_headers(valid: bytes, tmp_path: Path, data: st.DataObject) -> None:
    header, tensors = split(valid)
    damaged = data.draw(mutated(json.dumps(header).encode()))
    attack(tmp_path / "a.safetensors", struct.pack("<Q", len(damaged)) + damaged + tensors)


@given(data=st.data())
def test_any_value_in_any_place_of_the_description(valid: bytes, tmp_path: Path, data: st.DataObject) -> None:
    header, tensors = split(valid)
    about = json.loads(header["__metadata__"]["atelier"])
    for _ in range(data.draw(st.integers(1, 3))):
        table = data.draw(st.sampled_from([about, about["config"], about["metrics"], about["provenance"]]))
        if isinstance(table, dict):
            key = data.draw(st.sampled_from([*table, "new"]) if table else st.just("new"))
            table[key] = data.draw(json_values())
        if not isinstance(about.get("config"), dict):
            break
        about = {**{"metrics": {}, "provenance": {}}, **about}
    header["__metadata__"]["atelier"] = json.dumps(about)
    attack(tmp_path / "a.safetensors", joined(header, tensors))


@given(data=st.data())
def test_any_value_in_any_place_of_a_tensors_entry(valid: bytes, tmp_path: Path, data: st.DataObject) -> None:
    header, tensors = split(valid)
    name = data.draw(st.sampled_from(sorted(header)))
    what = data.draw(st.sampled_from(["dtype", "shape", "data_offsets", "new", "whole", "gone", "renamed"]))
    counts = st.lists(st.integers(-1, 2**64) | st.integers(0, 1000), max_size=3)
    value = data.draw(counts | json_values() | st.sampled_from(["F16", "F32", "BF16", "I64", "F64", "BOOL"]))
    if what == "whole":
        header[name] = value
    elif what == "gone":
        del header[name]
    elif what == "renamed":
        header[str(value)[:50]] = header.pop(name)
    else:
        header[name][what] = value
    attack(tmp_path / "a.safetensors", joined(header, tensors))


@given(
    resolution=st.integers(),
    latent_dim=st.integers(),
    width=st.integers(),
    extra=st.lists(st.integers(1, 2**70), max_size=70),
)
@example(resolution=8, latent_dim=10**18, width=1, extra=[])
@example(resolution=8, latent_dim=1, width=1, extra=[64] * 64)
def test_huge_numbers_allocate_nothing(
    valid: bytes, tmp_path: Path, resolution: int, latent_dim: int, width: int, extra: list[int]
) -> None:
    header, tensors = split(valid)
    about = json.loads(header["__metadata__"]["atelier"])
    about["config"] = {"resolution": resolution, "latent_dim": latent_dim, "width": width, "extra": extra}
    header["__metadata__"]["atelier"] = json.dumps(about)
    attack(tmp_path / "a.safetensors", joined(header, tensors))
