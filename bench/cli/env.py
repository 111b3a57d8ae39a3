"""``zoobench env``: what a metric depends on beyond the command. Loads no torch, opens no CUDA."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMATS = ("terminal", "json")


def env(
    format_name: Annotated[
        str, typer.Option("--format", help="terminal or json.", metavar="terminal|json")
    ] = "terminal",
) -> None:
    """Print versions, processor, GPUs and the environment variables that change metrics.

    Example: [bold]zoobench env --format json[/bold]
    """
    from bench.cli.choices import choice

    name = choice("--format", format_name, FORMATS)
    found = describe()
    if name == "json":
        import json

        typer.echo(json.dumps(found, indent=2))
        return
    _print_table(found)


def describe() -> dict[str, Any]:
    """Return what ``env`` prints, as plain JSON values.

    ``gpus`` are those that CUDA may use, or absent, with the reason in ``gpus_note``.
    ``workers_start_with`` are variables that are not set, and that workers set.
    """
    from bench import conditions, environment

    return {
        "software": conditions.software(),
        "machine": {
            "processor": conditions.processor_name(),
            "processor_id": conditions.processor_id(),
            "cores": conditions.cores(),
            "governors": conditions.governors(),
            "load_average_1min": conditions.load_average(),
            "malloc": conditions.malloc_library(),
        },
        **_gpus(),
        "environment": environment.set_variables(),
        "workers_start_with": conditions.worker_environment(),
    }


def _gpus() -> dict[str, Any]:
    from bench import nvml
    from zoo.errors import MeasureError

    try:
        gpus = [{"name": gpu.name, **nvml.state(gpu)} for gpu in nvml.visible()]
    except MeasureError as error:
        return {"driver": None, "gpus": None, "gpus_note": str(error)}
    return {"driver": nvml.driver(), "gpus": gpus, "gpus_note": None}


def _print_table(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    for title, values in _sections(found):
        table = Table(title=title, title_justify="left", box=None, pad_edge=False)
        table.add_column("", no_wrap=True)
        table.add_column("", overflow="fold")
        table.show_header = False
        for name, value in values.items():
            table.add_row(name, Text("–" if value is None else str(value)))
        console.print(table)
        console.print()


def _sections(found: dict[str, Any]) -> "Iterator[tuple[str, dict[str, Any]]]":
    """Yield a title and its lines: of each GPU, or of why there is none."""
    yield "software", found["software"]
    yield "machine", found["machine"]
    for number, gpu in enumerate(found["gpus"] or ()):
        yield f"GPU {number}", {"driver": found["driver"], **gpu}
    if not found["gpus"]:
        yield "GPUs", {"none": found["gpus_note"] or "CUDA_VISIBLE_DEVICES selects none"}
    yield (
        "environment",
        found["environment"] or {"none": "no variable of docs/environment.md is set"},
    )
    yield "workers start with", found["workers_start_with"]
