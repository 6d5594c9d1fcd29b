"""Reading a data set: a folder of pictures (subfolder = class), a zip of such a folder, or a zip with an index.csv
(`file,class,…`). Nothing is ever unpacked to the disk."""

import csv
import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from torch import Tensor

from studio.core.errors import DataError, StudioError
from studio.core.images import open_image, square

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".gif"}
MAX_INDEX_BYTES = 64_000_000
MAX_MEMBER_BYTES = 64_000_000
MAX_MEMBERS = 1_000_000
MAX_UNPACKED_BYTES = 256 << 30  # of a zip, in all, by its own account, which reading then holds it to


@dataclass(frozen=True)
class ImageSet:
    """Pictures in memory. images: (N,3,S,S) uint8. labels: (N,) int64, an index into classes, or −1 for none.

    files: a name for each picture. skipped: (name, reason) of what could not be read. columns: the index's other
    columns (artist, style, …) by name, an entry for each picture, "" where it has none.
    """

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    files: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...] = field(default=())
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)

    def take(self, index: Tensor) -> "ImageSet":
        """The pictures at `index` (M,)."""
        chosen = index.tolist()
        return replace(
            self,
            images=self.images[index],
            labels=self.labels[index],
            files=tuple(self.files[i] for i in chosen),
            columns={name: tuple(values[i] for i in chosen) for name, values in self.columns.items()},
        )


def read_dataset(
    paths: Sequence[Path | str],
    size: int,
    classes: Sequence[str] | None = None,
    minimum: int = 1,
    column: str = "class",
) -> ImageSet:
    """Read every picture as a centre square of `size` px.

    classes: keep these alone, in this order; None keeps all, in alphabetical order. column: the column of a zip's
    index.csv that holds the label ("artist", "style"); in a folder the label is always the subfolder. A broken picture
    is skipped and listed. Raises DataError where a path is missing, a class or column is unknown or fewer than
    `minimum` pictures are left.
    """
    found: list[tuple[str, str]] = []
    rows: list[Mapping[str, str]] = []
    skipped: list[tuple[str, str]] = []
    pictures: list[np.ndarray] = []
    for path in paths:
        for name, row, content in _members(Path(path), column):
            label = row.get(column, "").strip()
            if classes is not None and label not in classes:
                found.append((name, label))
                pictures.append(np.empty(0))
                rows.append(row)
                continue
            try:
                if isinstance(content, StudioError):
                    raise content
                pictures.append(np.asarray(square(open_image(content), size)).transpose(2, 0, 1))
                found.append((name, label))
                rows.append(row)
            except StudioError as error:
                skipped.append((name, str(error)))
    known = sorted({label for _, label in found if label})
    missing = [name for name in classes or () if name not in known]
    if missing:
        raise DataError(f"No picture has the {column} {missing[0]!r}; the data has: {', '.join(known) or 'none'}.")
    kept = [i for i, picture in enumerate(pictures) if picture.size]
    if len(kept) < minimum:
        raise DataError(
            f"Only {len(kept)} pictures could be read ({len(skipped)} were skipped); at least {minimum} are needed."
        )
    table = tuple(classes) if classes is not None else tuple(known)
    labels = [table.index(found[i][1]) if found[i][1] else -1 for i in kept]
    images = torch.from_numpy(np.stack([pictures[i] for i in kept])) if kept else torch.empty(0, 3, size, size)
    others = sorted({name for i in kept for name in rows[i]} - {"file", column})
    return ImageSet(
        images.to(torch.uint8),
        torch.tensor(labels),
        table,
        tuple(found[i][0] for i in kept),
        tuple(skipped),
        {name: tuple(rows[i].get(name, "").strip() for i in kept) for name in others},
    )


def _members(path: Path, column: str) -> Iterator[tuple[str, Mapping[str, str], bytes | Path | StudioError]]:
    """(name, row of the index, content) of each picture, in a stable order."""
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
        for file in files:
            folder = file.parent.relative_to(path).parts
            yield file.relative_to(path).as_posix(), {column: folder[0] if folder else ""}, file
    elif path.is_file():
        yield from _zip_members(path, column)
    else:
        raise DataError(f"There is no data at {str(path)!r}; give a folder of pictures or a zip with an index.csv.")


def _zip_members(path: Path, column: str) -> Iterator[tuple[str, Mapping[str, str], bytes | StudioError]]:
    try:
        with zipfile.ZipFile(path) as archive:
            _bounded(archive, path)
            rows = _index(archive, path) if "index.csv" in archive.NameToInfo else _by_folder(archive, path, column)
            known = [name for name in rows[0] if name and name != "file"]
            if column not in (*known, "class"):  # a zip may do without classes, whose pictures then have none
                raise DataError(
                    f"The index.csv of {path.name} has no column {column!r}; known: {', '.join(known) or 'none'}."
                )
            for row in rows:
                name = row["file"]
                yield name, {key: value or "" for key, value in row.items() if key}, _content(archive, name)
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{path.name} cannot be read as a zip file ({error}); give a folder or a sound zip.") from error


def _bounded(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse what no data set is: a zip bomb."""
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise DataError(f"{path.name} has {len(members)} files; at most {MAX_MEMBERS} are read.")
    size = sum(info.file_size for info in members)
    if size > MAX_UNPACKED_BYTES:
        raise DataError(
            f"{path.name} would unpack to {size / 1e9:.0f} GB; at most {MAX_UNPACKED_BYTES / 1e9:.0f} are read."
        )


def _by_folder(archive: zipfile.ZipFile, path: Path, column: str) -> list[dict[str, str]]:
    """Rows for a zip without an index: as for a folder, a subfolder is the class; one around all of them is none."""
    names = sorted(
        info.filename
        for info in archive.infolist()
        if not info.is_dir()
        and PurePosixPath(info.filename).suffix.lower() in SUFFIXES
        and not info.filename.startswith("__MACOSX/")
    )
    if not names:
        raise DataError(f"{path.name} has no index.csv and no pictures; give a zip of a folder of pictures.")
    folders = [PurePosixPath(name).parts[:-1] for name in names]
    around = len({parts[:1] for parts in folders}) == 1
    return [
        {"file": name, column: (parts[around : around + 1] or ("",))[0]}
        for name, parts in zip(names, folders, strict=True)
    ]


def _index(archive: zipfile.ZipFile, path: Path) -> list[dict[str, str]]:
    info = archive.getinfo("index.csv")
    if info.file_size > MAX_INDEX_BYTES:
        raise DataError(f"The index.csv of {path.name} has {info.file_size} bytes; at most {MAX_INDEX_BYTES} are read.")
    try:
        text = archive.read(info).decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"The index.csv of {path.name} is not a UTF-8 table ({error}).") from error
    if not rows or not rows[0].get("file"):
        raise DataError(f"The index.csv of {path.name} needs a column `file` and at least one row.")
    return [row for row in rows if row.get("file")]


def _content(archive: zipfile.ZipFile, name: str) -> bytes | StudioError:
    """The bytes of a member, read in memory (never unpacked), or the reason why not."""
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        return DataError("its path leads out of the archive.")
    try:
        info = archive.getinfo(name)
        if info.file_size > MAX_MEMBER_BYTES:
            return DataError(f"it has {info.file_size} bytes; at most {MAX_MEMBER_BYTES} are read.")
        return archive.read(info)
    except KeyError:
        return DataError("it is listed in index.csv but not in the archive.")
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, zipfile.zlib.error) as error:  # type: ignore[attr-defined]
        return DataError(f"it is damaged ({error}).")
