"""Files written whole or not at all, and errors of the file system as sentences."""

import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from studio.core.errors import OutputError, StudioError

_REASONS = {
    errno.ENOSPC: "no space is left on the disk; free some and try again",
    errno.EDQUOT: "your disk quota is used up; free some space and try again",
    errno.EFBIG: "the file would be larger than the disk allows",
    errno.EACCES: "permission is denied; choose a folder that you may write to",
    errno.EPERM: "permission is denied; choose a folder that you may write to",
    errno.EROFS: "the disk is read-only; choose another folder",
    errno.EISDIR: "it is a folder; name a file inside it",
    errno.ENOTDIR: "a part of its path is a file, not a folder",
    errno.EEXIST: "a part of its path is a file, not a folder",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    errno.ELOOP: "its path is a circle of links",
}


def shown(path: Path | str) -> str:
    """The last part of a path, printable and at most 80 characters, for use in a sentence."""
    name = Path(path).name or str(path)
    printable = "".join(c if c.isprintable() else "?" for c in name)
    return printable if len(printable) <= 80 else printable[:60] + "…" + printable[-19:]


def output_error(path: Path | str, error: OSError) -> OutputError:
    """The sentence for a file that the system refuses to write."""
    reason = _REASONS.get(error.errno or 0) or error.strerror or type(error).__name__
    return OutputError(f"Cannot write {shown(path)}: {reason}.")


@contextlib.contextmanager
def atomic_write(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; when the block ends well it becomes ``path``, otherwise it is removed.

    The temporary file exists, is empty and has the same suffix, so that anything may write to it by name. A missing
    folder is created. A link is followed and stays. Errors of the system inside the block become OutputError.
    """
    temporary: Path | None = None
    try:
        target = _target(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{secrets.token_hex(8)}{target.suffix}")
        temporary.touch(exist_ok=False)
        yield temporary
        _flush(temporary)
        temporary.replace(target)
        _flush_folder(target.parent)
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def _target(path: Path | str) -> Path:
    """The real place to write to; a folder, a device or a pipe is refused, for a rename would replace it."""
    try:
        target = Path(os.path.realpath(path))
        exists, regular = target.exists(), target.is_file()
    except ValueError as error:  # a null character, or half of a surrogate pair
        raise OutputError(f"Cannot write {shown(path)}: its name holds characters that no file can have.") from error
    if target.is_dir():
        raise OutputError(f"Cannot write {shown(path)}: {_REASONS[errno.EISDIR]}.")
    if exists and not regular:
        raise OutputError(f"Cannot write {shown(path)}: it is a device or a pipe; name a regular file.")
    return target


def _flush(path: Path) -> None:
    """Make sure that the data is on the disk before the name points to it."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Make the rename itself durable, where folders can be opened (not on Windows)."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sha256_of(path: Path | str) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        raise StudioError(f"Cannot read {shown(path)}: {getattr(error, 'strerror', None) or error}.") from error
