"""WebDataset shards: tar files of samples, ``KEY.jpg`` next to ``KEY.cls``.

A key ends at the first dot of the file name, as in WebDataset's own reader; the last word behind it
says what a file is, so that ``KEY.image.jpg`` is an image. An id is ``SHARD.tar/KEY.jpg``: keys are
only unique within a shard.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from bench.data.archive import Member, MemberReader, read_index
from bench.data.layouts.tar import has_class_files
from bench.data.listing import IMAGE_SUFFIXES, Found, Layout, Listing, Target, check_whole
from zoo.errors import DataError

# As webdataset.tariterators.base_plus_ext.
_KEY = re.compile(r"((?:.*/)?[^/.]+)\.([^/]*)")
# What WebDataset keeps about a whole shard.
_ABOUT_SHARD = re.compile(r"__.*__")


def list_shards(found: Found, labels_file: Path | None = None) -> Listing:
    """List the samples of all shards, in their order; the class is the text of ``.cls``.

    Raises:
        DataError: a shard is missing or cut short, or a sample does not have one image and one
            class.
    """
    if labels_file is not None:
        raise DataError(f"{found.path}: the shards have labels; leave out --labels FILE")
    check_whole(found.tars, named=found.named)
    images: dict[str, Member] = {}
    targets: list[Target] = []
    left_out = [*found.left_out, *found.others]
    for shard in found.tars:
        index = read_index(shard)
        samples, without_key = _samples(index.members)
        left_out += [f"{shard.name}/{name}" for name in (*index.left_out, *without_key)]
        for image, target in _labelled(shard, samples):
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
        left_out=tuple(left_out),
    )


def _samples(members: Sequence[Member]) -> tuple[dict[str, list[Member]], list[str]]:
    """Return the files of each key, and the names that have none: WebDataset skips these too."""
    samples: dict[str, list[Member]] = defaultdict(list)
    without_key = []
    for member in members:
        match = _KEY.fullmatch(member.name)
        if match is None or _ABOUT_SHARD.fullmatch(member.name):
            without_key.append(member.name)
        else:
            samples[match[1]].append(member)
    return samples, without_key


def _labelled(shard: Path, samples: dict[str, list[Member]]) -> list[tuple[Member, Target]]:
    """Return the image and the class of each sample."""
    found: list[tuple[Member, Target]] = []
    faults = []
    for key, files in samples.items():
        images = [file for file in files if _suffix(file) in IMAGE_SUFFIXES]
        classes = [file for file in files if _suffix(file) == ".cls"]
        if len(images) == len(classes) == 1:
            found.append((images[0], _class(classes[0])))
        else:
            faults.append((key, _fault(images, classes), [file.name for file in files]))
    if faults:
        key, fault, names = faults[0]
        raise DataError(
            f"{shard}: sample {key} {fault} ({len(faults)} such samples): its files are "
            f"{', '.join(names[:6])}{' …' if len(names) > 6 else ''}; a key ends at the first dot "
            "of a file name, and each needs one image and one .cls"
        )
    return found


def _fault(images: Sequence[Member], classes: Sequence[Member]) -> str:
    if len(images) != 1:
        return f"has {len(images)} images" if images else "has no image"
    return f"has {len(classes)} classes (.cls)" if classes else "has no class (.cls)"


def _suffix(member: Member) -> str:
    return f".{member.name.rpartition('.')[2].lower()}"


def _class(member: Member) -> Target:
    text = member.read().decode("utf-8", errors="replace").strip()
    if not text:
        raise DataError(f"{member.archive}: {member.name} is empty; expected a class")
    return int(text) if re.fullmatch(r"-?[0-9]+", text) else text


def _fits(found: Found) -> bool:
    alone = not (found.folders or found.images or found.parquets)
    return alone and (len(found.tars) > 1 or any(map(has_class_files, found.tars)))


LAYOUT = Layout(
    "WebDataset shards of .jpg and .cls, 'DIR/{000000..000049}.tar'", _fits, list_shards
)
