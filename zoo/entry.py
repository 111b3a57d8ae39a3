"""The types of a zoo: an entry, where its weights are, and how its images are prepared."""

import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

InputSize = Literal["train", "test"]
CropMode = Literal["center", "border", "squash"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]
# An integer is a number of planes that photographs do not have: counts and speed only.
Channels = Literal["rgb", "bgr", "gray"] | Annotated[int, Field(ge=1)]
SourceName = Literal["timm", "torchvision", "zoobench", "checkpoint", "package"]
LibraryName = Literal["timm", "torchvision", "zoobench"]


class Model(BaseModel):
    """A value: immutable; an unknown field, NaN or infinity is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _pair(value: Any) -> Any:
    return (value, value) if isinstance(value, int) and not isinstance(value, bool) else value


def _ratio(value: Any) -> Any:
    return 1 / 255 if value == "1/255" else value


PositivePx = Annotated[int, Field(gt=0)]
SizePx = Annotated[tuple[PositivePx, PositivePx], BeforeValidator(_pair)]
PerChannel = tuple[float, ...]


class Preprocess(Model):
    """How a photograph becomes the network's input, in whole pixels.

    Sizes are ``(height, width)``; a single number means a square, and for ``resize_px`` with
    ``crop_mode = "center"`` the length of the shorter side. ``mean`` and ``std`` are in the units
    that ``scale`` leaves: ``(pixel * scale - mean) / std``.
    """

    resize_px: SizePx
    crop_px: SizePx
    interpolation: Interpolation
    mean: PerChannel
    std: PerChannel
    crop_mode: CropMode = "center"
    antialias: bool = True
    channels: Channels = "rgb"
    scale: Annotated[float, BeforeValidator(_ratio)] = 1 / 255

    @field_validator("scale")
    @classmethod
    def _known_scale(cls, value: float) -> float:
        if value not in (1.0, 1 / 255):
            raise ValueError('scale must be 1 or "1/255"')
        return value

    @field_validator("std")
    @classmethod
    def _positive_std(cls, value: PerChannel) -> PerChannel:
        if min(value, default=0) <= 0:
            raise ValueError("std must be positive")
        return value

    @model_validator(mode="after")
    def _one_value_a_channel(self) -> "Preprocess":
        wanted = self.input_channels
        if len(self.mean) != wanted or len(self.std) != wanted:
            raise ValueError(
                f"mean and std need {wanted} value(s) for channels = {self.channels!r}"
            )
        return self

    @property
    def input_channels(self) -> int:
        """Return the number of planes the network sees."""
        return channel_count(self.channels)

    @property
    def takes_photographs(self) -> bool:
        """Return whether a photograph has these channels."""
        return not isinstance(self.channels, int)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Return (channels, height, width) of one input."""
        return (self.input_channels, *self.crop_px)

    def describe_size(self) -> str:
        """Return the sizes in pixels: ``resize 320, crop 288``."""
        return f"resize {_size(self.resize_px)}, crop {_size(self.crop_px)}"

    def describe(self) -> str:
        """Return one line that names every setting: equal lines mean equal pixels."""
        numbers = " ".join(f"{v:.6g}" for v in (*self.mean, *self.std))
        return (
            f"resize {_size(self.resize_px)} {self.crop_mode} crop {_size(self.crop_px)} "
            f"{self.interpolation}{'' if self.antialias else ' no-antialias'} {self.channels} "
            f"scale {'1/255' if self.scale != 1 else '1'} mean,std {numbers}"
        )


def channel_count(channels: str | int) -> int:
    """Return the number of planes of a value of ``Preprocess.channels``."""
    if isinstance(channels, int):
        return channels
    return 1 if channels == "gray" else 3


def _size(size: tuple[int, int]) -> str:
    return str(size[0]) if size[0] == size[1] else f"{size[0]}x{size[1]}"


class KeyMap(Model):
    """How the names in a checkpoint become the network's.

    ``rename``: (pattern, replacement) pairs; each name is rewritten by the first pattern that
    matches at its start. ``flatten``: ``{"_blocks": "blocks"}`` says that ``_blocks.K`` is the K-th
    of the network's ``blocks.S.B``, counted through all stages.
    """

    rename: tuple[tuple[str, str], ...] = ()
    flatten: dict[str, str] = Field(default_factory=dict)

    @field_validator("rename")
    @classmethod
    def _rules_compile(cls, rules: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        for pattern, replacement in rules:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
            try:
                re.sub(f"{pattern}|", replacement, "")  # matches, so that the groups are looked up
            except (re.error, IndexError) as error:
                raise ValueError(
                    f"{replacement!r} is not a replacement for {pattern!r}: {error}"
                ) from None
        return rules


class Weights(Model):
    """Where trained weights are: a tag of a library, a local file, or a file in a package.

    Give ``tag`` (timm: ``tv_in1k``; torchvision: ``IMAGENET1K_V1``), or ``file`` (relative to the
    manifest), or ``package`` and ``file`` (relative to site-packages). Of a file: ``key`` is where
    in it the state dict is (``state_dict``, ``model.net``), ``drop`` names tensors to leave out
    (``*`` and ``?`` are wildcards), ``label_offset`` is the number of outputs before the first
    class.
    """

    tag: Annotated[str, Field(min_length=1)] | None = None
    file: Path | None = None
    package: str | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    key: Annotated[str, Field(min_length=1)] | None = None
    drop: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    label_offset: Annotated[int, Field(ge=0)] = 0
    key_map: KeyMap | None = None

    @property
    def options(self) -> str | None:
        """Return as JSON what is taken from the file and how; None if all is by default.

        A key map is named by its digest.
        """
        chosen = {name: getattr(self, name) for name in _FILE_OPTIONS}
        given = {name: _option(value) for name, value in chosen.items() if value}
        return json.dumps(given, separators=(",", ":")) if given else None


def _option(value: Any) -> Any:
    if isinstance(value, KeyMap):
        return hashlib.sha256(value.model_dump_json().encode()).hexdigest()[:12]
    return value


_FILE_OPTIONS = ("key", "drop", "label_offset", "key_map")
# What a source needs in its weights, and what it cannot use.
_WEIGHTS_FIELDS: dict[str, tuple[set[str], set[str]]] = {
    "timm": ({"tag"}, {"file", "package", *_FILE_OPTIONS}),
    "torchvision": ({"tag"}, {"file", "package", *_FILE_OPTIONS}),
    "checkpoint": ({"file"}, {"tag", "package"}),
    "package": ({"package", "file", "sha256"}, {"tag"}),
}
# Only these two state how their weights want images. Elsewhere nothing of the rest may be guessed.
_STATES_PREPROCESS = ("timm", "torchvision")
_EXPLICIT_PREPROCESS = ("resize_px", "crop_px", "interpolation", "mean", "std")


class Entry(Model):
    """One model of a zoo: an architecture, its weights, and what is known about them.

    ``preprocess`` has only what overrides the weights' own metadata. ``input_size`` is the size
    that the weights were trained at, or the one they are tested at (the default), where their
    metadata states both. Source ``zoobench`` is an architecture of ours, of which no weights are
    published: trained ones are a ``checkpoint``.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:+-]*$")]
    source: SourceName
    architecture: str
    library: LibraryName | None = None
    arguments: dict[str, Any] = Field(default_factory=dict)
    weights: Weights | None = None
    preprocess: dict[str, Any] = Field(default_factory=dict)
    input_size: InputSize | None = None
    tags: tuple[str, ...] = ()
    family: str | None = None
    year: int | None = None
    paper: str | None = None

    @field_validator("preprocess")
    @classmethod
    def _known_preprocess(cls, override: dict[str, Any]) -> dict[str, Any]:
        given: Any = override.get("channels", "rgb")
        channels = channel_count(given) if isinstance(given, str | int) else 3
        whole = {
            "resize_px": 256,
            "crop_px": 224,
            "interpolation": "bicubic",
            "mean": (0.5,) * channels,
            "std": (0.5,) * channels,
        }
        valid = Preprocess.model_validate({**whole, **override})
        return {name: getattr(valid, name) for name in override}

    @model_validator(mode="after")
    def _weights_fit_the_source(self) -> "Entry":
        if self.weights is None:
            return self
        if self.source == "zoobench":
            raise ValueError(
                "source 'zoobench' has no weights; for a file of yours, give source = "
                "'checkpoint' and library = 'zoobench'"
            )
        required, unused = _WEIGHTS_FIELDS[self.source]
        given = {name for name, value in self.weights if value not in (None, (), 0)}
        if missing := required - given:
            raise ValueError(f"weights of source {self.source!r} need {', '.join(sorted(missing))}")
        if extra := unused & given:
            raise ValueError(
                f"weights of source {self.source!r} do not take {', '.join(sorted(extra))}"
            )
        return self

    @model_validator(mode="after")
    def _library_is_known(self) -> "Entry":
        if self.source in get_args(LibraryName):
            if self.library not in (None, self.source):
                raise ValueError(f"library is {self.source!r} for source {self.source!r}")
        elif self.library is None:
            choices = ", ".join(get_args(LibraryName))
            raise ValueError(f"source {self.source!r} needs library, one of: {choices}")
        return self

    @model_validator(mode="after")
    def _nothing_of_the_preprocessing_is_guessed(self) -> "Entry":
        missing = [name for name in _EXPLICIT_PREPROCESS if name not in self.preprocess]
        if missing and self.source not in _STATES_PREPROCESS:
            raise ValueError(
                f"source {self.source!r} knows no preprocessing: give preprocess.{missing[0]}"
                + (f" (and {', '.join(missing[1:])})" if missing[1:] else "")
            )
        return self

    @model_validator(mode="after")
    def _one_input_size(self) -> "Entry":
        if self.input_size and not self.has_input_sizes:
            raise ValueError("input_size is for weights that state sizes; set preprocess.crop_px")
        if self.input_size and "crop_px" in self.preprocess:
            raise ValueError("input_size and preprocess.crop_px contradict: give one of them")
        return self

    @property
    def has_input_sizes(self) -> bool:
        """Return whether the weights' metadata states the size of the input."""
        return self.source in _STATES_PREPROCESS

    def at_input_size(self, input_size: InputSize) -> "Entry":
        """Return the entry at a size of its weights; as it is where the manifest states pixels."""
        if not self.has_input_sizes or "crop_px" in self.preprocess:
            return self
        return self.model_copy(update={"input_size": input_size})

    @property
    def network_id(self) -> str:
        """Return what is built, weights apart: ``timm/resnet50.a1_in1k(img_size=288)``."""
        tag = f".{self.weights.tag}" if self.weights and self.weights.tag else ""
        arguments = ",".join(f"{k}={v}" for k, v in sorted(self.arguments.items()))
        library = self.library or self.source
        return f"{library}/{self.architecture}{tag}" + (f"({arguments})" if arguments else "")
