"""What ImageNet-A and ImageNet-R share: 200 of the classes, and predictions among these only."""

from bench.data.dataset import Dataset
from bench.data.imagenet import info, wnids
from bench.data.listing import Listing
from bench.data.sets.imagenet import imagenet_dataset
from zoo.errors import DataError


def classes_of(letter: str) -> tuple[str, ...]:
    """Return the 200 WordNet ids of ImageNet-A or ImageNet-R."""
    return tuple(info(f"imagenet_{letter}_synsets.txt").split())


def has_its_classes(listing: Listing, letter: str) -> bool:
    """Return whether the classes are the set's 200, and the images not the validation set's."""
    from bench.data.sets.val import has_val_names

    names = listing.names
    if not names:
        label_of = wnids()
        numbers = {t for t in listing.targets if isinstance(t, int) and 0 <= t < len(label_of)}
        names = {label_of[number] for number in numbers}
    return names == set(classes_of(letter)) and not has_val_names(listing)


def masked_dataset(listing: Listing, path: str, letter: str) -> Dataset:
    """Return the images, to be predicted among the set's 200 classes.

    Raises:
        DataError: an image is of another class.
    """
    label_of = {wnid: label for label, wnid in enumerate(wnids())}
    mask = tuple(sorted(label_of[wnid] for wnid in classes_of(letter)))
    dataset = imagenet_dataset(listing, path, f"imagenet-{letter}", mask=mask)
    outside = [i for i, label in enumerate(dataset.labels) if label not in set(mask)]
    if outside:
        image, wnid = dataset.images[outside[0]], wnids()[dataset.labels[outside[0]]]
        raise DataError(
            f"{path}: {len(outside)} images are of classes that ImageNet-{letter.upper()} does not "
            f"have, such as {image} ({wnid})"
        )
    return dataset
