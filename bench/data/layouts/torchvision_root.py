"""torchvision's ``ImageNet`` root: ``meta.bin`` beside ``val`` with class folders.

An id is the file name relative to ``val``, as for class folders.
"""

import io
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.data.labels import val_number
from bench.data.layouts.folder import list_class_folders
from bench.data.listing import Found, Layout, Listing, look_at
from zoo.errors import DataError

_META = "meta.bin"
_NOT_PLAIN = (
    OSError,
    zipfile.BadZipFile,
    pickle.UnpicklingError,
    StopIteration,
    ValueError,
    TypeError,
)


def list_root(found: Found, labels_file: Path | None = None) -> Listing:
    """List ``val``; each image must lie in the folder that ``meta.bin`` names for it.

    Raises:
        DataError: ``val`` is not there, or an image lies in another class's folder.
    """
    val = found.path / "val"
    if not val.is_dir():
        raise DataError(
            f"{found.path}: {_META} without val; torchvision makes it from "
            "ILSVRC2012_img_val.tar: torchvision.datasets.ImageNet(root, split='val')"
        )
    listing = list_class_folders(look_at(str(val)), labels_file)
    others = [name for name in (*found.left_out, *found.others) if name != _META]
    folders = val_wnids(found.path / _META)
    for image, target in zip(listing.images, listing.targets, strict=True):
        number = val_number(image)
        if number is not None and number <= len(folders) and folders[number - 1] != target:
            raise DataError(
                f"{val}: {image} belongs to {folders[number - 1]}, says {_META}; move it there"
            )
    return replace(listing, layout="torchvision", left_out=(*others, *listing.left_out))


def val_wnids(path: Path) -> list[str]:
    """Return the WordNet ids of the validation set's images, in the order of their numbers.

    ``meta.bin`` is a zip file of ``torch.save``; it is read without torch, and may hold nothing but
    dictionaries, lists, tuples and text.

    Raises:
        DataError: it is no such file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
            _, folders = _PlainUnpickler(io.BytesIO(archive.read(name))).load()
        return [str(folder) for folder in folders]
    except _NOT_PLAIN:
        raise DataError(
            f"{path}: is not the {_META} that torchvision writes; delete it, and let "
            "torchvision.datasets.ImageNet write it again"
        ) from None


class _PlainUnpickler(pickle.Unpickler):
    """Refuses every class, so that a file can run no code."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name} is no plain data")


def _fits(found: Found) -> bool:
    return _META in found.others and not (found.images or found.parquets)


LAYOUT = Layout(
    "torchvision's ImageNet root, DIR/meta.bin and DIR/val/n01440764/….JPEG", _fits, list_root
)
