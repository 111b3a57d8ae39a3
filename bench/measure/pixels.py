"""Where an evaluation's pixels come from: decoded from files, or mapped from the cache.

The first row that needs pixels decodes them in its own lanes and leaves them in the cache as it
goes, also in the other geometries that later rows of the plan need; there is no stage before it.
"""

import hashlib
import inspect
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from bench.data import preprocess as preprocess_module
from bench.data.dataset import Dataset
from bench.data.decoders import Decoder, open_decoder
from bench.data.pixel_cache import CachedPixels, PixelCache, PixelKey, PixelWriter, default_folder
from bench.data.preprocess import UNREADABLE, Pixels, geometry
from bench.measure import Row
from bench.measure.scoring import Predictions
from bench.measure.tally import Tally
from zoo.entry import Preprocess
from zoo.errors import DataError, MeasureError, with_type

Places = NDArray[np.intp]


class Source(Protocol):
    """Gives the pixels of batches, to any number of threads."""

    @property
    def kind(self) -> Literal["files", "cache"]:
        """Return where pixels come from."""

    @property
    def also_made(self) -> int:
        """Return for how many other geometries pixels are made."""

    def load(
        self, indices: Sequence[int], places: int, predictions: Predictions | None, tally: Tally
    ) -> tuple[Pixels, Places]:
        """Return (places, H, W, C) of uint8, and which of the places hold an image.

        What is known of the images on the way, digests and reasons, goes into the predictions.
        """


@dataclass(frozen=True)
class _Sink:
    """A geometry that is wanted, and the file of the cache that takes it."""

    preprocess: Preprocess
    writer: PixelWriter


@dataclass
class FilePixels:
    """Decodes images; keeps the pixels in ``own`` and ``others`` while predictions are made."""

    dataset: Dataset
    preprocess: Preprocess
    decoder: Decoder
    own: PixelWriter | None = None
    others: list[_Sink] = field(default_factory=list)
    kind: Literal["files", "cache"] = "files"

    @property
    def also_made(self) -> int:
        """Return for how many other geometries pixels are made."""
        return len(self.others)

    @property
    def writers(self) -> list[PixelWriter]:
        """Return all that take pixels."""
        return [*([self.own] if self.own else []), *(sink.writer for sink in self.others)]

    def load(
        self, indices: Sequence[int], places: int, predictions: Predictions | None, tally: Tally
    ) -> tuple[Pixels, Places]:
        """Return (places, H, W, C) of uint8, and which of the places hold an image."""
        shape = (*self.preprocess.crop_px, self.preprocess.input_channels)
        pixels = np.zeros((places, *shape), np.uint8)
        good = []
        for place, index in enumerate(indices):
            reason = self._load_one(index, pixels[place], predictions, tally)
            if reason is None:
                good.append(place)
            elif predictions is not None:
                predictions.bad.append((index, reason))
        return pixels, np.asarray(good, np.intp)

    def _load_one(
        self, index: int, target: Pixels, predictions: Predictions | None, tally: Tally
    ) -> str | None:
        """Fill in the pixels (H, W, C) of an image; return why it cannot be, if it cannot."""
        writers = [] if predictions is None else self.writers
        try:
            with tally.stage("read_decode_s"):
                data = self.dataset.read(index)
        except UNREADABLE as error:
            for writer in writers:  # the next attempt to read it may do better
                writer.fail(f"{self.dataset.images[index]}: {with_type(error)}")
            return with_type(error)
        with tally.stage("read_decode_s"):
            digest = b"" if predictions is None else hashlib.sha256(data).digest()
            if predictions is not None:
                predictions.sha256[index] = np.frombuffer(digest, np.uint8)
        try:
            with tally.stage("read_decode_s"):
                image = self.decoder.decode(data, self.preprocess)
            with tally.stage("resize_s"):
                target[:] = self.decoder.crop(image, self.preprocess)
        except UNREADABLE as error:
            for writer in writers:
                writer.put_bad(index, with_type(error), digest)
            return with_type(error)
        with tally.stage("cache_s"):
            if writers and self.own:
                self.own.put(index, target, digest)
            for sink in self.others if writers else ():
                self._put(index, image, digest, sink)
        return None

    def _put(self, index: int, image: Any, digest: bytes, sink: _Sink) -> None:
        """Make the pixels of another geometry, whose mishaps are for its own row to tell."""
        try:
            sink.writer.put(index, self.decoder.crop(image, sink.preprocess), digest)
        except UNREADABLE as error:
            sink.writer.put_bad(index, with_type(error), digest)
        except MeasureError as error:
            sink.writer.fail(str(error))


@dataclass(frozen=True)
class MappedPixels:
    """Pixels that an earlier row has left in the cache."""

    cached: CachedPixels
    kind: Literal["files", "cache"] = "cache"
    also_made: int = 0

    def load(
        self, indices: Sequence[int], places: int, predictions: Predictions | None, tally: Tally
    ) -> tuple[Pixels, Places]:
        """Return (places, H, W, C) of uint8, and which of the places hold an image.

        Raises:
            DamagedPixelsError: they are not those that were written.
        """
        with tally.stage("cache_s"):
            pixels = self.cached.batch(indices, places)
            reasons = [self.cached.reason(index) for index in indices]
            if predictions is not None:
                predictions.sha256[np.asarray(indices)] = self.cached.sha256(indices)
                bad = zip(indices, reasons, strict=True)
                predictions.bad += [(index, reason) for index, reason in bad if reason is not None]
            good = [place for place, reason in enumerate(reasons) if reason is None]
        return pixels, np.asarray(good, np.intp)


@contextmanager
def open_source(row: Row, images: range) -> Iterator[Source]:
    """Yield the source of a row's pixels; what it writes to the cache appears if all goes well.

    Args:
        row: for its dataset, preprocessing, decoder and cache.
        images: the places in the dataset that will be evaluated, each once.

    Raises:
        MeasureError: the decoder does not run on the row's device.
    """
    decoder = open_decoder(row.job.settings.decoder, row.device)
    cache = _cache(row)
    if cache is None:
        yield FilePixels(row.dataset, row.preprocess, decoder)
        return
    images_key = _images_key(row, decoder, images)
    cached = cache.open(_key(images_key, row.preprocess), _shape(row.preprocess))
    if cached is not None:
        try:
            yield MappedPixels(cached)
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


def _writing_source(
    row: Row, decoder: Decoder, cache: PixelCache, images_key: PixelKey
) -> FilePixels:
    """Return a source that also writes all geometries that are not in the cache yet."""
    source = FilePixels(row.dataset, row.preprocess, decoder)
    keys = {
        _key(images_key, other): other
        for other in (row.preprocess, *row.job.also)
        # Gray and colour are decoded apart.
        if (other.channels == "gray") == (row.preprocess.channels == "gray")
    }
    names = {key.file_name for key in keys}
    for key, preprocess in keys.items():
        mine = key.geometry == geometry(row.preprocess)
        if not mine and (cache.folder / key.file_name).exists():
            continue
        try:
            writer = cache.writer(key, _shape(preprocess), keep=names)
        except DataError as error:
            row.tell(f"decoded pixels are not kept: {error}")
            continue
        if mine:
            source.own = writer
        else:
            source.others.append(_Sink(preprocess, writer))
    return source


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
