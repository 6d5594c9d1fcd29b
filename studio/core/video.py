"""Films written frame by frame: MP4 (H.264, which every browser plays) and GIF, whole files or none."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from PIL import Image

from studio.core.errors import InvalidRequest, OutputError, StudioError
from studio.core.files import atomic_write, shown
from studio.core.registry import Registry

Frame = npt.NDArray[np.uint8]
MAX_FPS = 100
MAX_SIDE = 8192
MAX_GIF_FPS = 50  # browsers slow a GIF down whose frames last under 2/100 s
MAX_GIF_PIXELS = 64_000_000  # in all frames together, for they are held until the end
QUALITY = "18"  # x264's constant rate factor: at 18 differences are hard to see
PALETTE_FRAMES = 12  # frames that a GIF's shared palette is made from


class FrameWriter(Protocol):
    """Takes frames one by one."""

    def add(self, frame: Frame) -> None:
        """Append a frame (H,W,3) uint8; all have the size of the first."""


Opener = Callable[[Path, int], contextlib.AbstractContextManager[FrameWriter]]
FORMATS: Registry[Opener] = Registry("film format")


@contextlib.contextmanager
def open_video(path: Path | str, fps: int) -> Iterator[FrameWriter]:
    """A writer for the format of the path's suffix. The file appears when the block ends well, and never half.

    fps: frames a second, 1 to 100. Raises UnknownName for another suffix, OutputError where it cannot be written.
    """
    if not 1 <= fps <= MAX_FPS:
        raise InvalidRequest(f"A film has 1 to {MAX_FPS} frames a second; got {fps}.")
    opener = FORMATS[Path(path).suffix.lower()]
    with atomic_write(path) as temporary:
        try:
            with opener(temporary, fps) as writer:
                yield writer
        except av.FFmpegError as error:
            if isinstance(error, OSError) and error.errno:
                raise OSError(error.errno, error.strerror) from error  # atomic_write has the sentence
            raise OutputError(f"Cannot write {shown(path)}: the encoder refused it ({error.strerror}).") from error


def write_video(frames: Iterable[Frame], path: Path | str, fps: int) -> None:
    """Write a whole film. frames: (H,W,3) uint8, all of one size."""
    with open_video(path, fps) as writer:
        for frame in frames:
            writer.add(frame)


def _check(frame: Frame, size: tuple[int, int] | None) -> None:
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        raise InvalidRequest(f"A frame is (H,W,3) of 8 bits; got {frame.shape} of {frame.dtype}.")
    height, width = frame.shape[:2]
    if size is not None and (width, height) != size:
        raise InvalidRequest(f"All frames of a film have one size; got {width}×{height} after {size[0]}×{size[1]}.")
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise InvalidRequest(f"A frame may be 1 to {MAX_SIDE} pixels a side; got {width}×{height}.")


class _MP4:
    """H.264 in yuv420p (which needs even sides: an odd one repeats its last row or column), index at the front."""

    def __init__(self, path: Path, fps: int) -> None:
        self._container = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        self._stream = self._container.add_stream("libx264", rate=fps)
        self._stream.pix_fmt = "yuv420p"
        self._stream.options = {"crf": QUALITY, "preset": "veryfast"}
        context = self._stream.codec_context  # said in the file, for players guess differently where nothing is said
        context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
        context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        self._size: tuple[int, int] | None = None

    def add(self, frame: Frame) -> None:
        _check(frame, self._size)
        height, width = frame.shape[:2]
        if self._size is None:
            self._size = (width, height)
            self._stream.width, self._stream.height = width + width % 2, height + height % 2
        even = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
        picture = picture.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)
        for packet in self._stream.encode(picture):
            self._container.mux(packet)

    def finish(self) -> None:
        """Write what the encoder still holds."""
        if self._size is None:
            raise StudioError("A film needs at least one frame.")
        for packet in self._stream.encode():
            self._container.mux(packet)
        self._container.close()

    def abandon(self) -> None:
        """Close the file, whatever is in it."""
        with contextlib.suppress(av.FFmpegError, ValueError):
            self._container.close()


@contextlib.contextmanager
def _open_mp4(path: Path, fps: int) -> Iterator[FrameWriter]:
    writer = _MP4(path, fps)
    try:
        yield writer
        writer.finish()
    finally:
        writer.abandon()


def check_gif(frames: int, size: tuple[int, int], fps: int) -> None:
    """Raise InvalidRequest for a GIF that would be too large to hold or too fast to play. size: (width, height)."""
    if fps > MAX_GIF_FPS:
        raise InvalidRequest(f"A GIF plays at most {MAX_GIF_FPS} frames a second; got {fps}. MP4 has no such limit.")
    pixels = frames * size[0] * size[1]
    if pixels > MAX_GIF_PIXELS:
        raise InvalidRequest(
            f"A GIF of {frames} frames of {size[0]}×{size[1]} has {pixels / 1e6:.0f} million pixels and may have "
            f"{MAX_GIF_PIXELS // 1_000_000}; choose MP4, a smaller size or fewer frames."
        )


class _GIF:
    """Frames are kept and written at the end, in one palette, so that colours do not flicker; it plays for ever."""

    def __init__(self, fps: int) -> None:
        self._fps = fps
        self._frames: list[Image.Image] = []

    def add(self, frame: Frame) -> None:
        _check(frame, self._frames[0].size if self._frames else None)
        check_gif(len(self._frames) + 1, (frame.shape[1], frame.shape[0]), self._fps)
        self._frames.append(Image.fromarray(np.array(frame)))

    def finish(self, path: Path) -> None:
        """Quantise and write. A GIF counts time in 1/100 s, so the steps differ by one to keep the speed."""
        if not self._frames:
            raise StudioError("A film needs at least one frame.")
        palette = self._palette()
        indexed = [frame.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG) for frame in self._frames]
        times = [round(100 * (i + 1) / self._fps) - round(100 * i / self._fps) for i in range(len(indexed))]
        indexed[0].save(path, "GIF", save_all=True, append_images=indexed[1:], duration=[10 * t for t in times], loop=0)

    def _palette(self) -> Image.Image:
        """256 colours for a sample of frames across the film."""
        step = max(len(self._frames) // PALETTE_FRAMES, 1)
        sample = self._frames[::step]
        width, height = sample[0].size
        sheet = Image.new("RGB", (width, height * len(sample)))
        for row, frame in enumerate(sample):
            sheet.paste(frame, (0, row * height))
        return sheet.quantize(256, method=Image.Quantize.MEDIANCUT)


@contextlib.contextmanager
def _open_gif(path: Path, fps: int) -> Iterator[FrameWriter]:
    check_gif(1, (1, 1), fps)
    writer = _GIF(fps)
    yield writer
    writer.finish(path)


FORMATS.add(".mp4", _open_mp4)
FORMATS.add(".gif", _open_gif)
