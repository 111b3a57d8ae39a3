"""Where an evaluation's pixels come from: decoded from files, or read from the cache.

The first row that needs pixels decodes them and leaves them in the cache as it goes, also in the
other geometries that later rows of the plan need; there is no stage before it.

Processes forked from the row's may use a loader side by side. What it learns of the images comes
back as ``Loaded``, and the source, in the row's own process, takes note of it.
"""

import hashlib
import inspect
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from bench.data import preprocess as preprocess_module
from bench.data.dataset import Dataset
from bench.data.decoders import Decoder, open_decoder
from bench.data.pixel_cache import (
    CachedPixels,
    PixelCache,
    PixelFile,
    PixelKey,
    PixelWriter,
    default_folder,
)
from bench.data.preprocess import UNREADABLE, Pixels, geometry, oddity
from bench.measure import Row
from bench.measure.stage_timer import StageTimer
from zoo.entry import Preprocess
from zoo.errors import DataError, MeasureError, first_line, with_type


@dataclass(frozen=True)
class Kept:
    """What became of an image in a cache file: the digest of its pixels, or why there are none.

    ``bad`` is a fault of the image, which the file remembers; ``failure`` ends the file.
    """

    sha256: bytes = b""
    bad: str | None = None
    failure: str | None = None


@dataclass(frozen=True)
class LoadedImage:
    """What is known of an image: its file's digest (empty: unread), and why it has no pixels.

    ``odd`` says what its pixels are, if not what they seem. ``kept`` has one item for each cache
    file of the loader.
    """

    sha256: bytes
    reason: str | None = None
    odd: str | None = None
    kept: tuple[Kept, ...] = ()


Loaded = list[LoadedImage]


class Loader(Protocol):
    """Loads the pixels of batches, in any number of threads or processes."""

    def load(self, indices: Sequence[int], target: Pixels, timer: StageTimer) -> Loaded:
        """Fill ``target`` (n, H, W, C) with the pixels of images, zeros where there are none."""


@dataclass(frozen=True)
class Sink:
    """A geometry that the cache wants, and the file that takes it."""

    preprocess: Preprocess
    file: PixelFile


@dataclass(frozen=True)
class FileLoader:
    """Decodes images, and writes their pixels to the cache files of ``sinks``."""

    dataset: Dataset
    preprocess: Preprocess
    decoder: Decoder
    sinks: tuple[Sink, ...] = ()

    def load(self, indices: Sequence[int], target: Pixels, timer: StageTimer) -> Loaded:
        """Fill ``target`` (n, H, W, C) with the pixels of images, zeros where there are none."""
        return [
            self._load_one(index, pixels, timer)
            for index, pixels in zip(indices, target, strict=True)
        ]

    def _load_one(self, index: int, target: Pixels, timer: StageTimer) -> LoadedImage:
        try:
            with timer.stage("read_decode_s"):
                data = self.dataset.read(index)
                digest = hashlib.sha256(data).digest()
        except UNREADABLE as error:
            target[:] = 0
            # The next attempt to read it may do better, so no cache file remembers it.
            failure = Kept(failure=f"{self.dataset.images[index]}: {with_type(error)}")
            return LoadedImage(b"", with_type(error), kept=(failure,) * len(self.sinks))
        try:
            with timer.stage("read_decode_s"):
                image = self.decoder.decode(data, self.preprocess)
            with timer.stage("resize_s"):
                target[:] = self.decoder.crop(image, self.preprocess)
            odd = oddity(data)
        except UNREADABLE as error:
            target[:] = 0
            bad = Kept(bad=with_type(error))
            return LoadedImage(digest, bad.bad, kept=(bad,) * len(self.sinks))
        with timer.stage("cache_s"):
            kept = tuple(self._keep(index, image, target, sink) for sink in self.sinks)
        return LoadedImage(digest, odd=odd, kept=kept)

    def _keep(self, index: int, image: Any, own: Pixels, sink: Sink) -> Kept:
        """Write the pixels of a geometry; a fault of another one is for its own row to report."""
        try:
            same = geometry(sink.preprocess) == geometry(self.preprocess)
            pixels = own if same else self.decoder.crop(image, sink.preprocess)
        except UNREADABLE as error:
            return Kept(bad=with_type(error))
        except MeasureError as error:
            return Kept(failure=str(error))
        try:
            return Kept(sha256=sink.file.write(index, pixels))
        except (OSError, ValueError) as error:
            return Kept(failure=first_line(error))


@dataclass(frozen=True)
class CacheLoader:
    """Reads pixels that an earlier row left in the cache."""

    cached: CachedPixels

    def load(self, indices: Sequence[int], target: Pixels, timer: StageTimer) -> Loaded:
        """Fill ``target`` (n, H, W, C) with the pixels of images, zeros where there are none.

        Raises:
            DamagedPixelsError: they are not those that were written.
        """
        with timer.stage("cache_s"):
            self.cached.read(indices, target)
            digests = self.cached.sha256(indices)
        return [
            LoadedImage(digest.tobytes(), self.cached.reason(index), self.cached.odd(index))
            for index, digest in zip(indices, digests, strict=True)
        ]


@dataclass(frozen=True)
class Source:
    """A loader, and the writers of its cache files, in the order of its sinks.

    ``also_made`` is the number of other geometries for which it makes pixels.
    """

    loader: Loader
    kind: Literal["files", "cache"] = "files"
    writers: tuple[PixelWriter, ...] = ()
    also_made: int = 0

    def note(self, indices: Sequence[int], loaded: Loaded) -> None:
        """Take note of images whose pixels were written to the cache files."""
        for index, image in zip(indices, loaded, strict=True):
            for writer, kept in zip(self.writers, image.kept, strict=True):
                if kept.failure is not None:
                    writer.fail(kept.failure)
                elif kept.bad is not None:
                    writer.note_bad(index, image.sha256, kept.bad)
                else:
                    writer.note(index, image.sha256, kept.sha256)
                    if image.odd is not None:
                        writer.note_odd(index, image.odd)


def uncached_source(row: Row) -> Source:
    """Return a source that decodes the row's images and touches no cache."""
    decoder = open_decoder(row.job.settings.decoder)
    return Source(FileLoader(row.dataset, row.preprocess, decoder))


@contextmanager
def open_source(row: Row, images: range) -> Iterator[Source]:
    """Yield the source of a row's pixels; what it writes to the cache appears if all goes well.

    Args:
        row: for its dataset, preprocessing, decoder and cache.
        images: the positions in the dataset that will be evaluated, each once.
    """
    cache = _cache(row)
    if cache is None:
        yield uncached_source(row)
        return
    decoder = open_decoder(row.job.settings.decoder)
    images_key = _images_key(row, decoder, images)
    cached = cache.open(_key(images_key, row.preprocess), _shape(row.preprocess))
    if cached is not None:
        try:
            yield Source(CacheLoader(cached), kind="cache")
        finally:
            cached.close()
        return
    source = _writing_source(row, decoder, cache, images_key)
    try:
        yield source
    except BaseException:
        for writer in source.writers:
            writer.abandon()
        raise
    for writer in source.writers:
        writer.commit()
        if writer.failure:
            row.tell(f"decoded pixels were not kept: {writer.failure}")


def _cache(row: Row) -> PixelCache | None:
    """Return the cache, or None if none was wanted or there is no folder for it."""
    if row.job.cache_bytes == 0:
        return None
    try:
        return PixelCache(default_folder(), row.job.cache_bytes)
    except DataError as error:
        row.tell(f"decoded pixels are not kept: {error}")
        return None


def _writing_source(row: Row, decoder: Decoder, cache: PixelCache, images_key: PixelKey) -> Source:
    """Return a source that also writes all geometries that are not in the cache yet."""
    keys = {
        _key(images_key, other): other
        for other in (row.preprocess, *row.job.also)
        # Gray and colour are decoded apart.
        if (other.channels == "gray") == (row.preprocess.channels == "gray")
    }
    names = {key.file_name for key in keys}
    own = geometry(row.preprocess)
    sinks: list[Sink] = []
    writers: list[PixelWriter] = []
    for key, preprocess in keys.items():
        if key.geometry != own and (cache.folder / key.file_name).exists():
            continue
        try:
            writer = cache.writer(key, _shape(preprocess), keep=names)
        except DataError as error:
            row.tell(f"decoded pixels are not kept: {error}")
            continue
        writers.append(writer)
        sinks.append(Sink(preprocess, writer.file))
    loader = FileLoader(row.dataset, row.preprocess, decoder, tuple(sinks))
    others = sum(geometry(sink.preprocess) != own for sink in sinks)
    return Source(loader, writers=tuple(writers), also_made=others)


def _images_key(row: Row, decoder: Decoder, images: range) -> PixelKey:
    """Return what all geometries of the row's images have in their keys."""
    return PixelKey(
        dataset=row.dataset.name,
        dataset_digest=row.dataset.digest,
        stamp=_stamp(row.dataset),
        first=images.start,
        images=len(images),
        geometry="",
        decoder=decoder.identity,
        code=_code(decoder),
    )


def _key(images_key: PixelKey, preprocess: Preprocess) -> PixelKey:
    return images_key.model_copy(update={"geometry": geometry(preprocess)})


def _shape(preprocess: Preprocess) -> tuple[int, int, int]:
    return (*preprocess.crop_px, preprocess.input_channels)


def _code(decoder: Decoder) -> str:
    """Return a sha256 of the source that makes pixels: what it changes is made anew."""
    source = inspect.getsource(preprocess_module) + inspect.getsource(type(decoder))
    return hashlib.sha256(source.encode()).hexdigest()


def _stamp(dataset: Dataset) -> str:
    """Return a sha256 of when the files changed last; sizes alone do not tell that they have."""
    files = dataset.archives or [dataset.root / image for image in dataset.images]
    times = hashlib.sha256(str(dataset.root.resolve()).encode())
    for path in files:
        with suppress(OSError):  # gone since it was listed: the row will say so
            status = path.stat()
            if stat.S_ISREG(status.st_mode):
                # tar and rsync keep the time of the content, and cannot keep that of the change.
                times.update(b"%d %d;" % (status.st_mtime_ns, status.st_ctime_ns))
    return times.hexdigest()
