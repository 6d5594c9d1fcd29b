"""A model is one file."""

import dataclasses
import errno
import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from sentences import assert_sentence

from studio.core import checkpoint
from studio.core.checkpoint import Checkpoint, load, save
from studio.core.errors import CheckpointError, OutputError
from studio.core.kinds import MODEL_KINDS, LatentModel, ModelKind

ABOUT: dict[str, Any] = {
    "provenance": {"data": "paintings", "licence": "public domain", "hours": 1.5},
    "metrics": {"kid-vgg16": 0.25},
}


def build(kind: ModelKind, classes: int = 0, **config: Any) -> LatentModel:
    """A model whose every tensor, buffers included, differs from a fresh one's."""
    model = kind.build(kind.config(**config), classes)
    generator = torch.Generator().manual_seed(1)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.randn(tensor.shape, generator=generator).abs())
        else:
            tensor.fill_(12345)
    return model


def saved(kind: ModelKind, path: Path, classes: tuple[str, ...] = (), **config: Any) -> Checkpoint:
    model = build(kind, len(classes), **config)
    return save(path, model, kind="tiny", config=kind.config(**config), classes=classes, **ABOUT)


def parts(path: Path) -> tuple[dict[str, Any], bytes]:
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def rewrite(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the header in place and keep the tensors' bytes."""
    header, data = parts(path)
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def describe(path: Path, **changes: Any) -> None:
    """Change entries of the studio's own description; ... removes one."""

    def change(header: dict[str, Any]) -> None:
        about = json.loads(header["__metadata__"]["atelier"])
        about = {key: value for key, value in {**about, **changes}.items() if value is not ...}
        header["__metadata__"]["atelier"] = json.dumps(about)

    rewrite(path, change)


@pytest.fixture
def file(tiny_kind: ModelKind, tmp_path: Path) -> Path:
    saved(tiny_kind, tmp_path / "tiny.safetensors", ("sea", "land"))
    return tmp_path / "tiny.safetensors"


@pytest.mark.parametrize("classes", [(), ("sea", "land", "paysage d'été")])
@pytest.mark.parametrize("config", [{}, {"resolution": 8, "extra": (7, 2), "mode": "plain", "note": "x", "slope": 1.0}])
def test_float32_comes_back_bit_equal(
    tiny_kind: ModelKind, tmp_path: Path, classes: tuple[str, ...], config: dict[str, Any]
) -> None:
    model, path = build(tiny_kind, len(classes), **config), tmp_path / "a.safetensors"
    configuration = tiny_kind.config(**config)
    written = save(path, model, kind="tiny", config=configuration, classes=classes, **ABOUT, dtype=torch.float32)
    again = load(path)
    assert again == written
    assert (again.kind, again.classes, again.path, again.size) == ("tiny", classes, path, path.stat().st_size)
    assert (again.provenance, again.metrics) == (ABOUT["provenance"], ABOUT["metrics"])
    built = again.build()
    assert not built.training
    assert (built.resolution, built.class_count) == (configuration.resolution, len(classes))
    for name, tensor in model.state_dict().items():
        found = built.state_dict()[name]
        assert found.dtype == tensor.dtype
        assert torch.equal(found, tensor)
    z = torch.randn(3, 3, generator=torch.Generator().manual_seed(0))
    weights = torch.full((3, len(classes)), 1 / len(classes)) if classes else None
    assert torch.equal(built(z, weights), model.eval()(z, weights))


def test_float16_is_stable_after_the_first_save(tiny_kind: ModelKind, tmp_path: Path) -> None:
    first = saved(tiny_kind, tmp_path / "a.safetensors", ("sea",))
    second = save(
        tmp_path / "b.safetensors",
        first.build(),
        kind="tiny",
        config=first.config,
        classes=first.classes,
        provenance=first.provenance,
        metrics=first.metrics,
    )
    assert second.sha256 == first.sha256
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    types = {str(tensor.dtype) for tensor in first.tensors().values()}
    assert types == {"torch.float16", "torch.int64"}
    assert {tensor.dtype for tensor in first.build().state_dict().values()} == {torch.float32, torch.int64}


def test_bfloat16_is_a_type_too(tiny_kind: ModelKind, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save(path, build(tiny_kind), kind="tiny", config={}, classes=(), **ABOUT, dtype=torch.bfloat16)
    assert load(path).tensors()["w_mean"].dtype == torch.bfloat16


def test_other_safetensors_readers_open_it(file: Path) -> None:
    tensors = safetensors.torch.load_file(file)
    assert tensors.keys() == load(file).tensors().keys()
    with safetensors.safe_open(file, "pt") as opened:
        assert json.loads(opened.metadata()["atelier"])["format"] == checkpoint.FORMAT


def test_building_leaves_the_random_state_alone(file: Path) -> None:
    before = torch.get_rng_state()
    load(file).build()
    assert torch.equal(torch.get_rng_state(), before)


def test_loading_reads_no_tensor(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("tensors were read")

    monkeypatch.setattr(safetensors.torch, "load", fail)
    assert load(file).kind == "tiny"


def test_a_field_that_is_absent_has_its_default(file: Path) -> None:
    describe(file, config={"latent_dim": 3})
    assert load(file).build().latent_dim == 3


def test_metadata_of_other_programs_are_left_alone(file: Path) -> None:
    rewrite(file, lambda header: header["__metadata__"].update(format="pt"))
    assert load(file).kind == "tiny"


# What is refused.


def refused(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load(path)
    sentence = str(caught.value)
    assert sentence.startswith(path.name)
    assert_sentence(caught.value)
    return sentence


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"kind": ...}, "is damaged: its description lacks 'kind'."),
        ({"colour": 1}, "is damaged: its description holds the unknown key 'colour'."),
        ({"format": 2}, "has format 2, and this version reads format 1; update the studio."),
        ({"format": True}, "has format True"),
        ({"format": "1"}, "has format '1', and"),
        ({"format": "\x1f"}, "has format '\\x1f', and"),
        ({"format": 1.0}, "has format 1.0, and"),
        ({"format": [[1]]}, "has format [[1]], and"),
        ({"kind": "diffusion"}, "is of the unknown kind 'diffusion'; known: tiny."),
        ({"kind": ["tiny"]}, "is of the unknown kind"),
        ({"config": []}, "has a configuration that kind tiny refuses: The configuration is not a table."),
        ({"config": {"hidden": 3}}, "refuses: Unknown setting 'hidden'; known: resolution, latent_dim"),
        ({"config": {"resolution": "4"}}, "refuses: Setting resolution must be of type int, not '4'."),
        ({"config": {"resolution": 1024}}, "refuses: resolution is 1024; it must be 4 or 8."),
        ({"config": {"width": 10**18}}, "refuses: latent_dim and width must be between 1 and 64."),
        ({"config": {"extra": [1] * 65}}, "refuses: Setting extra must be a list of at most 64 values."),
        ({"config": {"resolution": 8}}, "draw.weight has the shape 48×5 where 192×5 is needed."),
        ({"config": {"mode": "plain"}}, "it holds the unknown tensor 'norm.bias'."),
        ({"config": {"extra": [4]}}, "it lacks the tensor 'deep.0.bias'."),
        ({"classes": ["sea"]}, "w_mean has the shape 2×5 where 1×5 is needed."),
        ({"classes": "sea"}, "its classes are not a list of at most 256 names."),
        ({"classes": [str(i) for i in range(257)]}, "its classes are not a list of at most 256 names."),
        ({"classes": ["sea", "sea"]}, "it names a class twice."),
        ({"classes": ["sea", ""]}, "a class is not a name of 1 to 80 printable characters."),
        ({"classes": ["sea", "x" * 81]}, "a class is not a name of"),
        ({"classes": ["sea", "a\nb"]}, "a class is not a name of"),
        ({"classes": ["sea", 3]}, "a class is not a name of"),
        ({"provenance": "found"}, "its provenance is not a table."),
        ({"metrics": [0.3]}, "its metrics are not a table."),
        ({"metrics": {"kid": "low"}}, "its metric 'kid' is not a number."),
        ({"metrics": {"kid": 10**400}}, "its metric 'kid' is not a number."),
        ({"metrics": {"kid": True}}, "its metric 'kid' is not a number."),
        ({"metrics": {"k" * 81: 1}}, "is not a number."),
        ({"provenance": {"a": float("nan")}}, "its description holds NaN, which is not a number."),
        ({"provenance": {"a": [[[[[[[[[1]]]]]]]]]}}, "its description is nested more than 8 levels deep."),
    ],
)
def test_a_description_that_is_refused(file: Path, changes: dict[str, Any], sentence: str) -> None:
    describe(file, **changes)
    assert sentence in refused(file)


def entry(name: str, **changes: Any) -> Callable[[dict[str, Any]], object]:
    return lambda header: header[name].update(changes)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda h: h.pop("__metadata__"), "is a safetensors file of another program"),
        (lambda h: h["__metadata__"].pop("atelier"), "is a safetensors file of another program"),
        (lambda h: h.update(__metadata__=[]), "the metadata in its header are not a table of texts"),
        (lambda h: h["__metadata__"].update(other=3), "the metadata in its header are not a table of texts"),
        (lambda h: h["__metadata__"].update(atelier="{"), "its description is not JSON"),
        (lambda h: h["__metadata__"].update(atelier="[]"), "its description is not a JSON object"),
        (lambda h: h["__metadata__"].update(atelier='{"a":' * 9999), "its description is nested more than 8 levels"),
        (lambda h: h.update(w_mean=3), "the header's entry for 'w_mean' is not one of a tensor"),
        (entry("w_mean", more=1), "the header's entry for 'w_mean' is not one of a tensor"),
        (entry("w_mean", shape="2×5"), "the header's entry for 'w_mean' is not one of a tensor"),
        (entry("w_mean", shape=[-2, -5]), "the header's entry for 'w_mean' is not one of a tensor"),
        (entry("w_mean", shape=[2.0, 5]), "the header's entry for 'w_mean' is not one of a tensor"),
        (entry("w_mean", shape=[True, 5]), "the header's entry for 'w_mean' is not one of a tensor"),
        (entry("w_mean", shape=[1] * 9), "the header's entry for 'w_mean' is not one of a tensor"),
        (entry("w_mean", shape=[1 << 64]), "the header's entry for 'w_mean' is not one of a tensor"),
        (entry("w_mean", shape=[1 << 62] * 8), "'w_mean' has a size that is not that of its shape"),
        (entry("w_mean", data_offsets=[0]), "the header's entry for 'w_mean' is not one of a tensor"),
        (entry("w_mean", dtype="F64"), "stores 'w_mean' as 'F64'; tensors must be one of F16, BF16, F32, I64"),
        (entry("w_mean", dtype="\x1f"), "stores 'w_mean' as '\\x1f'; tensors must be"),
        (entry("w_mean", dtype=["F16"]), "stores 'w_mean' as ['F16']; tensors must be"),
        (entry("w_mean", dtype="F32"), "'w_mean' has a size that is not that of its shape"),
        (entry("w_mean", shape=[5, 2]), "w_mean has the shape 5×2 where 2×5 is needed"),
        (entry("w_mean", shape=[10]), "w_mean has the shape 10 where 2×5 is needed"),
        (lambda h: h.update(nothing=h.pop("w_mean")), "it lacks the tensor 'w_mean'"),
        (lambda h: h.pop("w_mean"), "there is a gap or an overlap before|follow the last tensor"),
    ],
)
def test_a_header_that_is_refused(file: Path, change: Callable[[dict[str, Any]], object], sentence: str) -> None:
    rewrite(file, change)
    found = refused(file)
    assert any(choice in found for choice in sentence.split("|")), found


def test_tensors_that_overlap_are_refused(file: Path) -> None:
    def overlap(header: dict[str, Any]) -> None:
        weight, bias = header["affine.bias"], header["norm.bias"]
        weight["data_offsets"] = bias["data_offsets"]

    rewrite(file, overlap)
    assert "a gap or an overlap before" in refused(file)


def test_a_counter_stored_as_a_float_is_refused(file: Path) -> None:
    def swap(header: dict[str, Any]) -> None:
        header["norm.num_batches_tracked"].update(dtype="F16", shape=[4])

    rewrite(file, swap)
    assert "norm.num_batches_tracked has the shape 4 where of a single number is needed" in refused(file)


def test_a_weight_stored_as_integers_is_refused(tiny_kind: ModelKind, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    saved(tiny_kind, path, width=4)
    rewrite(path, entry("w_mean", dtype="I64", shape=[1, 1]))
    assert "w_mean has the shape 1×1 where 1×4" in refused(path)
    path.unlink()
    model = build(tiny_kind, width=4)
    stored = {name: tensor.half() for name, tensor in model.state_dict().items()}
    stored["norm.num_batches_tracked"] = torch.tensor(3)
    stored["w_mean"] = torch.zeros(1, 4, dtype=torch.int64)
    text = json.dumps({"format": 1, "kind": "tiny", "config": {"width": 4}, "classes": [], **ABOUT})
    safetensors.torch.save_file(stored, path, {"atelier": text})
    assert "w_mean is stored as I64" in refused(path)


@pytest.mark.parametrize("keep", [0, 1, 7, 8, 9, 100, -1, -100])
def test_a_truncated_file_is_refused(file: Path, keep: int) -> None:
    file.write_bytes(file.read_bytes()[:keep])
    assert "is truncated: " in refused(file)


def test_a_file_with_more_behind_it_is_refused(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"more")
    assert "is damaged: 4 bytes follow the last tensor." in refused(file)


@pytest.mark.parametrize("length", [(1 << 20) + 1, 1 << 40, (1 << 64) - 1])
def test_a_header_too_long_is_refused_unread(file: Path, length: int) -> None:
    with file.open("rb+") as opened:
        opened.write(struct.pack("<Q", length))
        opened.truncate(1 << 42)  # sparse: four terabytes that take no disk
    assert f"announces a header of {length} bytes where at most 1048576 are allowed." in refused(file)


def test_a_pickle_is_named(tiny_kind: ModelKind, tmp_path: Path) -> None:
    for legacy in (False, True):
        path = tmp_path / f"model{legacy}.pt"
        torch.save({"a": torch.zeros(3)}, path, _use_new_zipfile_serialization=not legacy)
        assert "is a pickle (.pt)" in refused(path)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "was not downloaded; run `git lfs pull`"),
        (b"<!DOCTYPE html><html></html>", "is not a safetensors file"),
        (struct.pack("<Q", 5) + b"hello", "is not a safetensors file"),
        (struct.pack("<Q", 2) + b"{]", "its header is not JSON"),
        (struct.pack("<Q", 200_000) + b'{"":' * 50_000, "its header is nested more than 4 levels deep"),
        (struct.pack("<Q", 12) + b'{"a":"\xff\xfe\xfd"}\n', "its header holds text that is not valid Unicode"),
        (struct.pack("<Q", 15) + b'{"a":1,"a":NaN}', "its header holds NaN"),
        (struct.pack("<Q", 2) + b"{}", "is a safetensors file of another program"),
    ],
)
def test_other_files_are_named(tiny_kind: ModelKind, tmp_path: Path, data: bytes, sentence: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    assert sentence in refused(path)


def test_what_is_not_a_file(tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "absent.safetensors")
    assert "is not a file; name a .safetensors file" in refused(tmp_path)
    with pytest.raises(CheckpointError, match=r"^a\?b cannot be read"):
        load("a\0b")
    if Path("/dev/zero").exists():
        assert "is not a file" in refused(Path("/dev/zero"))


def test_an_error_of_torch_becomes_one_line(file: Path, tiny_kind: ModelKind, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(config: Any, class_count: int) -> LatentModel:
        raise RuntimeError("sizes differ\nat a place\nin C++")

    monkeypatch.setitem(MODEL_KINDS._entries, "tiny", dataclasses.replace(tiny_kind, build=fail))
    assert refused(file) == "tiny.safetensors describes a model that cannot be built: sizes differ."


def test_a_file_that_changed_is_not_built(file: Path) -> None:
    opened = load(file)
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(CheckpointError, match="has changed since it was opened; open it again"):
        opened.build()
    file.unlink()
    with pytest.raises(CheckpointError, match="cannot be read: No such file"):
        opened.build()


def test_a_handle_outlives_its_name(file: Path, tiny_kind: ModelKind, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is replaced while it is opened is hashed as it was validated."""
    before, check = file.read_bytes(), checkpoint._check_tensors

    def replaced(*arguments: Any) -> None:
        check(*arguments)
        other = file.with_name("other")
        other.write_bytes(b"something else")
        other.replace(file)

    monkeypatch.setattr(checkpoint, "_check_tensors", replaced)
    opened = load(file)
    assert opened.sha256 == hashlib.sha256(before).hexdigest()
    with pytest.raises(CheckpointError, match="has changed"):
        opened.build()


def test_weights_that_are_not_numbers_are_refused(file: Path) -> None:
    header, _ = parts(file)
    data = bytearray(file.read_bytes())
    start = len(data) - max(item["data_offsets"][1] for key, item in header.items() if key != "__metadata__")
    place = start + header["w_mean"]["data_offsets"][0]
    data[place : place + 2] = b"\x00\x7e"  # a quiet NaN in float16
    file.write_bytes(data)
    with pytest.raises(CheckpointError, match="w_mean holds values that are not numbers"):
        load(file).build()


# What is not saved.


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"kind": "other"}, "is of the unknown kind 'other'"),
        ({"classes": ["a", "a"]}, "names a class twice"),
        ({"config": {"resolution": 3}}, "resolution is 3; it must be 4 or 8"),
        ({"config": {"resolution": 8}}, "draw.weight has the shape 48×5 where 192×5 is needed"),
        ({"metrics": {"kid": float("nan")}}, "its description is not JSON"),
        ({"provenance": {"when": object()}}, "its description is not JSON"),
        ({"provenance": {"what": "x" * (1 << 20)}}, "at most 1048576 are allowed"),
        ({"provenance": {1: 1, "1": 2}}, "names a key twice"),
        ({"dtype": torch.float64}, "tensors must be one of"),
    ],
)
def test_what_would_not_load_is_not_saved(
    tiny_kind: ModelKind, tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"precious")
    arguments = {"kind": "tiny", "config": {}, "classes": [], **ABOUT, **changes}
    with pytest.raises(CheckpointError) as caught:
        save(path, build(tiny_kind), **arguments)
    assert str(caught.value).startswith("a.safetensors ")
    assert sentence in str(caught.value)
    assert path.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("value", "sentence"),
    [(1e5, "holds values too large for float16"), (float("nan"), "holds values that are not numbers")],
)
def test_weights_that_the_file_cannot_hold_are_refused(
    tiny_kind: ModelKind, tmp_path: Path, value: float, sentence: str
) -> None:
    model = build(tiny_kind)
    model.w_mean[0, 0] = value
    with pytest.raises(CheckpointError, match=rf"^a\.safetensors is not saved: w_mean {sentence}"):
        save(tmp_path / "a.safetensors", model, kind="tiny", config={}, classes=[], **ABOUT)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_file(file: Path, tiny_kind: ModelKind, monkeypatch: pytest.MonkeyPatch) -> None:
    before = file.read_bytes()

    def full(path: Path, data: bytes) -> None:
        with path.open("wb") as opened:
            opened.write(data[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="no space is left on the disk"):
        saved(tiny_kind, file)
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]
