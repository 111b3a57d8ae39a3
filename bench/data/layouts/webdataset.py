"""WebDataset shards: tar files of samples, ``KEY.jpg`` beside ``KEY.cls``.

An id is ``SHARD.tar/KEY.jpg``: keys are only unique within a shard.
"""

from pathlib import Path, PurePosixPath

from bench.data.archive import Member, MemberReader, members
from bench.data.layouts.tar import has_class_files
from bench.data.listing import IMAGE_SUFFIXES, Found, Layout, Listing, Target, check_whole
from zoo.errors import DataError


def list_shards(found: Found, labels_file: Path | None = None) -> Listing:
    """List the samples of all shards, in their order; the class is the text of ``.cls``.

    Raises:
        DataError: a shard is missing or cut short, or a sample has no image or no class.
    """
    if labels_file is not None:
        raise DataError(f"{found.path}: the shards have labels; leave out --labels FILE")
    check_whole(found.tars, named=found.named)
    images: dict[str, Member] = {}
    targets: list[Target] = []
    for shard in found.tars:
        for image, target in _samples(shard):
            images[f"{shard.name}/{image.name}"] = image
            targets.append(target)
    return Listing(
        layout="webdataset",
        root=found.path,
        images=tuple(images),
        targets=tuple(targets),
        sizes=tuple(member.size for member in images.values()),
        reader=MemberReader(images),
        archives=tuple(found.tars),
    )


def _samples(shard: Path) -> list[tuple[Member, Target]]:
    """Return the image and the class of each sample; members of a sample share their key."""
    images: dict[str, Member] = {}
    classes: dict[str, Target] = {}
    for member in members(shard):
        name = PurePosixPath(member.name)
        base, _, extension = name.name.partition(".")
        key = str(name.parent / base)
        if f".{extension.lower()}" in IMAGE_SUFFIXES:
            if key in images:
                raise DataError(f"{shard}: sample {key} has two images")
            images[key] = member
        elif extension == "cls":
            classes[key] = _class(member)
    if odd := sorted(images.keys() ^ classes.keys()):
        lacks = "class (.cls)" if odd[0] in images else "image"
        raise DataError(f"{shard}: sample {odd[0]} has no {lacks} ({len(odd)} such samples)")
    return [(image, classes[key]) for key, image in images.items()]


def _class(member: Member) -> Target:
    text = member.read().decode("utf-8", errors="replace").strip()
    return int(text) if text.removeprefix("-").isdigit() else text


def _fits(found: Found) -> bool:
    alone = not (found.folders or found.images or found.parquets)
    return bool(found.tars) and alone and has_class_files(found.tars[0])


LAYOUT = Layout(
    "WebDataset shards of .jpg and .cls, 'DIR/{000000..000049}.tar'", _fits, list_shards
)
