"""``zoobench run``: measure the entries of a manifest, keep the evidence, print the table."""

import sys
from collections.abc import Sequence
from threading import Thread
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer

from bench.cli.options import DEFAULT_STORE, Manifest, Patterns, StoreUrl, Zoo

if TYPE_CHECKING:
    from bench.plan import Job, Settings
    from bench.records import CompileMode
    from zoo.entry import Entry

DEFAULT_FIGURES = "params,gmacs,top1,speed,memory"


def run(
    patterns: Patterns = None,
    manifest: Manifest = "sample",
    zoo: Zoo = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="A folder, file or pattern of images, in any layout of docs/data.md, or 'sample'. "
            "Sets: val, real, v2, a, r, sketch, c.",
            metavar="[SET:]PATH|NAME",
        ),
    ] = None,
    input_size: Annotated[
        str | None,
        typer.Option(
            help="The size that weights were trained or are tested at, where they state both. "
            "Default: the entry's, or test, that of the libraries' published figures.",
            metavar="train|test",
        ),
    ] = None,
    labels: Annotated[
        str,
        typer.Option(
            help="imagenet: class folders are WordNet ids. folder: numbered alphabetically. "
            "FILE: of images that lie flat.",
            metavar="imagenet|folder|FILE",
        ),
    ] = "imagenet",
    figures: Annotated[
        str | None,
        typer.Option(
            help=f"Default: {DEFAULT_FIGURES.replace(',', ', ')}. "
            "Others: crosscheck, latency, train.",
            metavar="NAME[,NAME…]",
        ),
    ] = None,
    device: Annotated[
        str,
        typer.Option(
            "--device",
            "--devices",
            help="auto, cpu, cuda, cuda:N, or several: a row a GPU at a time.",
            metavar="NAME[,NAME…]",
        ),
    ] = "auto",
    workers: Annotated[
        int, typer.Option(min=1, help="Rows at once on a CPU, where nothing is timed.")
    ] = 1,
    shards: Annotated[int, typer.Option(min=1, help="Cut each evaluation into so many jobs.")] = 1,
    executor: Annotated[
        str, typer.Option(help="local: this machine. ray: a Ray cluster.", metavar="local|ray")
    ] = "local",
    precision: Annotated[
        str, typer.Option(metavar="NAME", help="fp32, tf32, bf16, fp16 or amp.")
    ] = "fp32",
    memory_format: Annotated[
        str, typer.Option(metavar="NAME", help="auto, contiguous or channels_last.")
    ] = "auto",
    compiled: Annotated[
        str | None,
        typer.Option(
            "--compile",
            metavar="MODE",
            help="Run torch.compile's code: default, reduce-overhead (CUDA graphs) or "
            "max-autotune.",
        ),
    ] = None,
    batch: Annotated[
        str | None,
        typer.Option(
            help="Default: 32 on a CPU, 256 on a GPU. auto: the largest that fits.",
            metavar="N[,N…]|auto",
        ),
    ] = None,
    target_rse: Annotated[
        str | None,
        typer.Option(
            help="Time on until a speed's relative standard error is this small, like 0.5%.",
            metavar="SHARE",
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Evaluate so many images, spread over the classes.")
    ] = None,
    decoder: Annotated[
        str,
        typer.Option(metavar="NAME", help="pillow (the reference) or torchvision."),
    ] = "pillow",
    cache_size: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="How large the cache of decoded pixels may grow, like 20GB; 0 for none. Default: "
            "50GB, and never more than half of what the disk has free.",
        ),
    ] = None,
    store: StoreUrl = DEFAULT_STORE,
    timeout: Annotated[
        float | None, typer.Option(min=1, help="Seconds that a row may take.", metavar="S")
    ] = None,
    retry_failed: Annotated[
        bool,
        typer.Option(
            "--retry-failed", help="Measure again what failed before, or had unreadable images."
        ),
    ] = False,
) -> None:
    """Measure entries; skip what the store has already; print the table of the whole store.

    Example: [bold]zoobench run 'efficientnet*' --data imagenet/val --batch 64[/bold]

    Exit code 1 if a row failed or an image could not be read, 2 for a mistake in the command.
    """
    from bench import fork_server

    fork_server.start()  # it imports torch meanwhile
    from bench.cli.choices import batches, choice, devices, share, size_bytes
    from bench.cli.choices import figures as parse_figures
    from bench.cli.progress import Outcome, progress_display
    from bench.cli.selection import select_entries
    from bench.data.dataset import check_labels
    from bench.executors import EXECUTORS, Placement
    from bench.executors import executor as find_executor
    from bench.plan import plan
    from bench.store import Store

    selection = select_entries(patterns, manifest, zoo)
    entries = _at_input_size(selection.entries, input_size)
    wanted = parse_figures(DEFAULT_FIGURES if figures is None else figures)
    named, data = data is not None, data or selection.data
    check_labels(labels)
    if "top1" in wanted and data is None:
        wanted = _without_top1(wanted, asked=figures is not None)
    datasets = _datasets(data, labels, limit, shards, used="top1" in wanted, named=named)
    placement = Placement(devices=devices(device), workers=workers)
    machines = find_executor(choice("--executor", executor, EXECUTORS))
    settings = _settings(placement.devices[0], precision, memory_format, decoder, compiled)
    jobs = [
        job
        for one in datasets
        for job in plan(
            entries,
            figures=wanted,
            settings=settings,
            batches=batches(batch),
            store=store,
            data=one,
            labels=labels,
            limit=limit,
            retry_failed=retry_failed,
            cache_bytes=size_bytes("--cache-size", cache_size),
            target_rse=share("--target-rse", target_rse, at_most=0.2),
            shards=shards,
            apart=workers > 1,
        )
    ]
    Store(store).check_writable()
    Thread(target=_import_reports).start()
    note = machines.check(entries, settings, placement, where=selection.where)
    if note:
        print(f"zoobench: {note}", file=sys.stderr)
    jobs = _share_pixels(jobs)
    with progress_display(jobs) as show:
        outcome = Outcome(jobs, show)
        all_well = machines.run(jobs, placement=placement, timeout_s=timeout, listen=outcome)
    _print_reports(store)
    print(f"zoobench: {outcome.describe()}", file=sys.stderr)
    raise typer.Exit(0 if all_well else 1)


def _at_input_size(entries: "Sequence[Entry]", size: str | None) -> "tuple[Entry, ...]":
    """Return the entries at a size of their weights; report those whose manifest states pixels."""
    from bench.cli.choices import choice
    from zoo.entry import InputSize

    if size is None:
        return tuple(entries)
    wanted = cast(InputSize, choice("--input-size", size, get_args(InputSize)))
    sized = tuple(entry.at_input_size(wanted) for entry in entries)
    fixed = [entry.name for entry in sized if entry.input_size != wanted]
    if fixed:
        names = ", ".join(fixed[:3]) + (f" … ({len(fixed)} in all)" if len(fixed) > 3 else "")
        print(f"zoobench: --input-size: the manifest states pixels for {names}", file=sys.stderr)
    return sized


def _datasets(
    data: str | None, labels: str, limit: int | None, shards: int, *, used: bool, named: bool
) -> Sequence[str | None]:
    """Return the datasets that ``--data`` stands for; what is wrong with it is told now.

    Where no image is used, there is one, which is looked at only if the user has named it.
    """
    if data is None or not (used or named):
        return [data]
    from bench.data.dataset import each_of, open_told
    from zoo.errors import DataError

    datasets = each_of(data)
    opened = open_told(datasets[0], labels=labels)
    for remark in opened.remarks:
        print(f"zoobench: {remark}", file=sys.stderr)
    images = len(opened.dataset) if limit is None else min(limit, len(opened.dataset))
    if shards > images:
        raise DataError(f"--shards {shards}: there are {images} images; give at most as many")
    return datasets if used else [data]


def _share_pixels(jobs: "list[Job]") -> "list[Job]":
    """Return the jobs so that an image is decoded once for all of them that need it."""
    from bench import worker
    from bench.executors import local
    from bench.plan import share_pixels

    entries = list({job.entry.name: job.entry for job in jobs if "top1" in job.figures}.values())
    if len(entries) < 2 or jobs[0].cache_bytes == 0:
        return jobs
    return share_pixels(jobs, dict(local.ask(worker.preprocess_main, entries)))


def _settings(
    device: str, precision: str, memory_format: str, decoder: str, compiled: str | None
) -> "Settings":
    from bench.cli.choices import choice
    from bench.data.decoders import DECODERS
    from bench.plan import Settings
    from bench.records import MemoryFormat, Precision

    return Settings(
        device=device,
        precision=cast(Precision, choice("--precision", precision, get_args(Precision))),
        memory_format=cast(
            MemoryFormat,
            choice("--memory-format", memory_format, ("auto", *get_args(MemoryFormat))),
        ),
        decoder=choice("--decoder", decoder, DECODERS),
        compile=_compile_mode(compiled),
    )


def _compile_mode(mode: str | None) -> "CompileMode":
    """Return the setting that ``--compile MODE`` stands for; eager without it."""
    from bench.cli.choices import choice
    from bench.records import CompileMode

    if mode is None:
        return "eager"
    modes = {"default": "inductor"}
    for known in get_args(CompileMode):
        _, colon, name = known.partition(":")
        if colon:
            modes[name] = known
    return cast("CompileMode", modes[choice("--compile", mode, modes)])


def _without_top1(wanted: tuple[Any, ...], *, asked: bool) -> tuple[Any, ...]:
    from zoo.errors import DataError

    if asked:
        raise DataError("--figures top1 needs images: give --data DIR, a folder of class folders")
    print("zoobench: no --data, so top1 is not measured", file=sys.stderr)
    return tuple(figure for figure in wanted if figure != "top1")


def _import_reports() -> None:
    """Import what makes the table, a second's worth, while other processes import torch."""
    import scipy.stats  # noqa: F401

    import reports.frame
    import reports.table  # noqa: F401


def _print_reports(store: str) -> None:
    """Print the table, write it beside the records, and say where."""
    from bench.store import Store
    from reports import load_frame
    from reports.table import render

    frame = load_frame(store)
    sys.stdout.write(render(frame, "terminal").decode())
    sys.stdout.flush()
    target = Store(store)
    paths = [
        target.write_report(f"report.{name}", render(frame, name))
        for name in ("md", "csv", "parquet")
    ]
    print(f"reports: {' '.join(paths)}", file=sys.stderr)
