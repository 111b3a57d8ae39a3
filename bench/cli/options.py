"""Options that several sub-commands share."""

from typing import Annotated

import typer

Patterns = Annotated[
    list[str] | None,
    typer.Argument(help="Names, globs or tags of entries; all entries if none is given."),
]
Manifest = Annotated[
    str, typer.Option(help="An embedded manifest's name, or a TOML file.", metavar="NAME|FILE")
]
Zoo = Annotated[
    list[str] | None,
    typer.Option(
        "--zoo",
        help="Instead of a manifest: a library's networks, like 'timm:resnet*'; may be repeated.",
        metavar="LIBRARY:GLOB",
    ),
]
StoreUrl = Annotated[
    str, typer.Option("--store", help="Where results are kept.", metavar="DIR|URL")
]
DEFAULT_STORE = "zoobench-results"
Measured = Annotated[
    str | None,
    typer.Option(
        "--store",
        help=f"Where results are kept, or a report's CSV. Default: {DEFAULT_STORE}.",
        metavar="DIR|URL|FILE",
    ),
]
