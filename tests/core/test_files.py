"""Files written whole or not at all."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.core.errors import OutputError, StudioError
from studio.core.files import atomic_write, output_error, sha256_of, shown


@contextmanager
def as_nobody() -> Iterator[None]:
    """Give up root's right to write everywhere, where the tests run as root."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def write(path: Path | str, data: bytes = b"new") -> None:
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)


def test_a_block_that_ends_well_leaves_the_file_and_nothing_else(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "deep" / "folder" / "out.mp4") as temporary:
        assert temporary.parent == tmp_path / "deep" / "folder"
        assert temporary.suffix == ".mp4"
        temporary.write_bytes(b"frames")
    assert [path.name for path in (tmp_path / "deep" / "folder").iterdir()] == ["out.mp4"]
    assert (tmp_path / "deep" / "folder" / "out.mp4").read_bytes() == b"frames"


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt, GeneratorExit, SystemExit, MemoryError])
def test_an_interrupted_write_keeps_what_was_there(tmp_path: Path, failure: type[BaseException]) -> None:
    target = tmp_path / "out.png"
    target.write_bytes(b"old")

    def write_half() -> None:
        with atomic_write(target) as temporary:
            temporary.write_bytes(b"half")
            raise failure

    with pytest.raises(failure):
        write_half()
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "out.png"
    target.write_bytes(b"old")
    with atomic_write(target) as temporary:
        temporary.write_bytes(b"new")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"


def test_a_file_gets_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    write(tmp_path / "ours")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=rf"^Cannot write {tmp_path.name}: it is a folder; name a file inside it\.$"):
        write(tmp_path)


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="a part of its path is a file"):
        write(tmp_path / "file" / "out.png")


def test_an_unwritable_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    with pytest.raises(OutputError, match="permission is denied; choose a folder that you may write to"), as_nobody():
        write(folder / "out.png")
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="no devices as files")
def test_a_device_is_never_replaced() -> None:
    with pytest.raises(OutputError, match="a device or a pipe"):
        write("/dev/null")
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"^Cannot write a\?b: its name holds characters that no file can have\.$"):
        write(tmp_path / name)


def test_a_name_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="the name is too long; choose a shorter one"):
        write(tmp_path / ("x" * 300 + ".png"))
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_leaves_nothing(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(OutputError, match="larger than the disk allows"):
            write(tmp_path / "out.png", bytes(1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", ["write_bytes", "replace"])
def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, step, full)
    with pytest.raises(OutputError, match=r"^Cannot write out\.png: no space is left on the disk; free some and try"):
        write(tmp_path / "out.png")
    assert list(tmp_path.iterdir()) == []


def test_an_error_without_a_number_is_still_a_sentence() -> None:
    assert str(output_error("a.png", OSError())) == "Cannot write a.png: OSError."
    assert str(output_error("a.png", OSError(errno.EIO, "Input/output error"))) == (
        "Cannot write a.png: Input/output error."
    )


@given(st.text(alphabet=st.characters(), max_size=300))
def test_a_name_is_shown_printable_and_short(name: str) -> None:
    text = shown(name)
    assert text.isprintable()
    assert len(text) <= 80


def test_sha256_of_abc(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")  # FIPS 180-2, B.1
    assert sha256_of(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("name", ["absent", ".", "a\0b"])
def test_the_hash_of_what_cannot_be_read_is_a_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(StudioError, match=r"^Cannot read "):
        sha256_of(tmp_path / name)
