"""One tar file, of class folders or flat. An id is the name in it, without folders that all share.

So a tar of class folders has the ids, the digest and the predictions of the folders themselves.
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from bench.data.archive import Member, MemberReader, first_names, read_index
from bench.data.imagenet import wnids
from bench.data.labels import Shelf, find_labels, is_labels_file, shelf_beside
from bench.data.listing import Found, Layout, Listing, Target
from zoo.errors import DataError


def list_tar(found: Found, labels_file: Path | None = None) -> Listing:
    """List the images of a tar file, sorted by name, without unpacking it.

    Images in folders have these as their classes; those that lie flat have the labels of a file in
    the archive or beside it, or of their names.

    Raises:
        DataError: as ``read_index``, or there are no labels.
    """
    (path,) = found.tars
    images: dict[str, Member] = {}
    shelf: Shelf = {}
    index = read_index(path)
    for member in index.members:
        if is_labels_file(member.name):
            shelf[f"{path}/{member.name}"] = member.read
        else:
            images[member.name] = member
    shared = _shared_folders(list(images))
    images = {name[len(shared) :]: images[name] for name in sorted(images)}
    targets, note = _targets(path, list(images), shelf, labels_file)
    return Listing(
        layout="tar",
        root=path,
        images=tuple(images),
        targets=targets,
        sizes=tuple(member.size for member in images.values()),
        reader=MemberReader(images),
        archives=(path,),
        note=note,
        left_out=index.left_out,
    )


def _targets(
    path: Path, images: Sequence[str], shelf: Shelf, labels_file: Path | None
) -> tuple[tuple[Target, ...], str | None]:
    in_folders = ["/" in image for image in images]
    if any(in_folders) and not all(in_folders):
        loose = images[in_folders.index(False)]
        raise DataError(f"{path}: class folders and loose files, such as {loose}")
    if any(in_folders):
        return tuple(image.partition("/")[0] for image in images), None
    labels = find_labels(images, path, shelf or shelf_beside(path), labels_file)
    return labels.targets, labels.note


def _shared_folders(names: Sequence[str]) -> str:
    """Return the folders, with a slash, that all names share and that are no class of their own."""
    parents = [PurePosixPath(name).parent.parts for name in names]
    shared: list[str] = []
    for parts in zip(*parents, strict=False):
        if len(set(parts)) > 1 or parts[0] in wnids():
            break
        shared.append(parts[0])
    return "".join(f"{part}/" for part in shared)


def has_class_files(path: Path) -> bool:
    """Return whether an archive begins with samples that have a class, as WebDataset's shards."""
    try:
        return any(name.lower().endswith(".cls") for name in first_names(path, 10))
    except DataError:
        return False  # told by whoever lists it


def _fits(found: Found) -> bool:
    alone = not (found.folders or found.images or found.parquets)
    return len(found.tars) == 1 and alone and not has_class_files(found.tars[0])


LAYOUT = Layout("a tar of class folders or of a flat folder, FILE.tar", _fits, list_tar)
