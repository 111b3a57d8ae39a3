"""The sample's photographs in the layouts and sets of the world: small, and otherwise real."""

import io
import json
import random
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from scipy.io import savemat

from bench.data.dataset import Dataset
from bench.data.imagenet import class_names, wnids
from bench.data.labels import labels_by_number

Photographs = list[tuple[bytes, int]]


def photographs_of(dataset: Dataset) -> Photographs:
    return [(dataset.read(i), label) for i, label in enumerate(dataset.labels)]


def val_names(photographs: Photographs) -> list[str]:
    """Names of the validation set whose labels are those of the photographs."""
    left = {label: [] for _, label in photographs}
    for number, label in sorted(labels_by_number().items()):
        if label in left:
            left[label].append(number)
    return [f"ILSVRC2012_val_{left[label].pop(0):08d}.JPEG" for _, label in photographs]


def class_folders(root: Path, photographs: Photographs) -> Path:
    for name, (data, label) in zip(val_names(photographs), photographs, strict=True):
        path = root / wnids()[label] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def flat(root: Path, photographs: Photographs) -> Path:
    """Names of the validation set, and no labels file."""
    root.mkdir(parents=True)
    for name, (data, _) in zip(val_names(photographs), photographs, strict=True):
        (root / name).write_bytes(data)
    return root


def flat_with_csv(root: Path, photographs: Photographs) -> Path:
    root.mkdir(parents=True)
    lines = ["file,label"]
    for i, (data, label) in enumerate(photographs):
        (root / f"photo{i}.jpg").write_bytes(data)
        lines.append(f"photo{i}.jpg,{label}")
    (root / "labels.csv").write_text("\n".join(lines))
    return root


def flat_with_wnid_csv(root: Path, photographs: Photographs) -> Path:
    flat_with_csv(root, photographs)
    rows = [f"photo{i}.jpg,{wnids()[label]}" for i, (_, label) in enumerate(photographs)]
    (root / "labels.csv").write_text("\n".join(["file,wnid", *rows]))
    return root


def flat_with_kaggles_csv(root: Path, photographs: Photographs) -> Path:
    flat(root / "val", photographs)
    rows = [
        f"{name.removesuffix('.JPEG')},{wnids()[label]} 1 2 3 4 "
        for name, (_, label) in zip(val_names(photographs), photographs, strict=True)
    ]
    solution = root / "LOC_val_solution.csv"
    solution.write_text("\n".join(["ImageId,PredictionString", *rows]))
    return root / "val"


def devkit(folder: Path, *, meta: bool = True) -> None:
    """The devkit's two files: classes numbered in an order of their own, and the ground truth."""
    order = list(range(1000))
    random.Random(0).shuffle(order)
    id_of = {label: number for number, label in enumerate(order, start=1)}
    kind = [("ILSVRC2012_ID", object), ("WNID", object), ("num_children", object)]
    rows = [(id_of[label], wnid, 0) for label, wnid in enumerate(wnids())]
    rows += [(1001, "n00001740", 3), (1002, "n00001930", 2)]
    rows.sort(key=lambda row: row[0])
    if meta:
        savemat(str(folder / "meta.mat"), {"synsets": np.array(rows, dtype=kind)[:, None]})
    truth = [str(id_of[label]) for _, label in sorted(labels_by_number().items())]
    (folder / "ILSVRC2012_validation_ground_truth.txt").write_text("\n".join(truth) + "\n")


def flat_with_devkit(root: Path, photographs: Photographs) -> Path:
    flat(root, photographs)
    devkit(root)
    return root


def torchvision_root(root: Path, photographs: Photographs) -> Path:
    class_folders(root / "val", photographs)
    names = {wnid: (name,) for wnid, name in zip(wnids(), class_names(), strict=True)}
    val = [wnids()[label] for _, label in sorted(labels_by_number().items())]
    torch.save((names, val), root / "meta.bin")
    return root


def pack(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def tar_of_class_folders(root: Path, photographs: Photographs) -> Path:
    names = val_names(photographs)
    files = {
        f"./val/{wnids()[label]}/{name}": data
        for name, (data, label) in zip(names, photographs, strict=True)
    }
    return pack(root / "val.tar", files)


def flat_tar(root: Path, photographs: Photographs) -> Path:
    """As ILSVRC2012_img_val.tar: flat, with the names of the validation set."""
    files = dict(zip(val_names(photographs), (data for data, _ in photographs), strict=True))
    return pack(root / "ILSVRC2012_img_val.tar", files)


def flat_tar_with_csv(root: Path, photographs: Photographs) -> Path:
    files = {f"images/photo{i}.jpg": data for i, (data, _) in enumerate(photographs)}
    rows = [f"photo{i}.jpg,{label}" for i, (_, label) in enumerate(photographs)]
    files["images/labels.csv"] = "\n".join(["file,label", *rows]).encode()
    return pack(root / "photos.tar", files)


def webdataset(root: Path, photographs: Photographs, shard: int = 8) -> Path:
    for number, start in enumerate(range(0, len(photographs), shard)):
        files = {}
        for i, (data, label) in enumerate(photographs[start : start + shard], start):
            files[f"{i:08d}.cls"] = str(label).encode()
            files[f"{i:08d}.jpg"] = data
            files[f"{i:08d}.json"] = b"{}"
        pack(root / f"imagenet-val-{number:06d}.tar", files)
    return root


def parquet(
    root: Path,
    photographs: Photographs,
    *,
    names: list[str] | None = None,
    files: int = 2,
    paths: bool = True,
) -> Path:
    """As Hugging Face stores imagenet-1k: data/validation-00000-of-00002.parquet."""
    (root / "data").mkdir(parents=True)
    label = {"names": names or list(class_names()), "_type": "ClassLabel"}
    metadata = {"huggingface": json.dumps({"info": {"features": {"label": label}}})}
    each = -(-len(photographs) // files)
    for number in range(files):
        part = photographs[number * each : (number + 1) * each]
        stems = val_names(photographs)[number * each : (number + 1) * each]
        image = [
            {"bytes": data, "path": name.replace(".", f"_{wnids()[label]}.") if paths else None}
            for name, (data, label) in zip(stems, part, strict=True)
        ]
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        columns = {"image": pa.array(image, kind), "label": pa.array([n for _, n in part])}
        table = pa.table(columns).replace_schema_metadata(metadata)
        path = root / "data" / f"validation-{number:05d}-of-{files:05d}.parquet"
        pq.write_table(table, path, row_group_size=3)
    return root


LAYOUTS: dict[str, Callable[[Path, Photographs], Path]] = {
    function.__name__: function
    for function in (
        class_folders,
        flat,
        flat_with_csv,
        flat_with_wnid_csv,
        flat_with_kaggles_csv,
        flat_with_devkit,
        torchvision_root,
        tar_of_class_folders,
        flat_tar,
        flat_tar_with_csv,
        webdataset,
        parquet,
    )
}
