"""Images in one folder, with a labels file or names that have labels. An id is the file name."""

from pathlib import Path

from bench.data.files import size_bytes
from bench.data.labels import Shelf, find_labels, is_labels_file, shelf_beside, shelf_of
from bench.data.layouts.folder import FileReader
from bench.data.listing import Found, Layout, Listing

# Files that accompany images. Every other one counts as an image, and is named if it is not.
_DOCUMENTS = frozenset(
    {
        ".bin",
        ".csv",
        ".db",
        ".gz",
        ".htm",
        ".html",
        ".ini",
        ".json",
        ".jsonl",
        ".log",
        ".mat",
        ".md",
        ".pdf",
        ".py",
        ".rst",
        ".sh",
        ".tsv",
        ".txt",
        ".xml",
        ".yaml",
        ".yml",
        ".zip",
    }
)


def list_flat(found: Found, labels_file: Path | None = None) -> Listing:
    """List the images of one folder, sorted by name, with the labels of ``bench.data.labels``.

    Raises:
        DataError: they have no labels, or the labels file does not fit them.
    """
    root = found.path
    unknown = [name for name in found.others if Path(name).suffix.lower() not in _DOCUMENTS]
    images = tuple(sorted((*found.images, *unknown)))
    labels = find_labels(images, root, _shelf(root), labels_file)
    documents = (n for n in found.others if n not in unknown and not is_labels_file(n))
    return Listing(
        layout="flat",
        root=root,
        images=images,
        targets=labels.targets,
        sizes=tuple(size_bytes(root / image) for image in images),
        reader=FileReader(root),
        note=labels.note,
        left_out=(*found.left_out, *documents),
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
