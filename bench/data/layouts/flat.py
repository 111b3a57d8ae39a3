"""Images in one folder, with a labels file or names that have labels. An id is the file name."""

from pathlib import Path

from bench.data.labels import Shelf, find_labels, shelf_beside, shelf_of
from bench.data.layouts.folder import FileReader
from bench.data.listing import Found, Layout, Listing, size_bytes


def list_flat(found: Found, labels_file: Path | None = None) -> Listing:
    """List the images of one folder, sorted by name, with the labels of ``bench.data.labels``.

    Raises:
        DataError: they have no labels, or the labels file does not fit them.
    """
    root = found.path
    labels = find_labels(found.images, root, _shelf(root), labels_file)
    return Listing(
        layout="flat",
        root=root,
        images=found.images,
        targets=labels.targets,
        sizes=tuple(size_bytes(root / image) for image in found.images),
        reader=FileReader(root),
        note=labels.note,
    )


def _shelf(root: Path) -> Shelf:
    """Return the files that may have labels: those in the folder, and those beside it."""
    return shelf_of(root) or shelf_beside(root.resolve())


def _fits(found: Found) -> bool:
    alone = not (found.folders or found.tars or found.parquets)
    return found.path.is_dir() and bool(found.images) and alone


LAYOUT = Layout(
    "a flat folder with a labels file, DIR/labels.csv (file,label or file,wnid) and DIR/….JPEG",
    _fits,
    list_flat,
)
