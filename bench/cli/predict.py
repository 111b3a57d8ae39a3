"""``zoobench predict``: what models see in pictures."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli.options import Manifest
from zoo.text import printable

if TYPE_CHECKING:
    from bench.predict import Answer, Answers


def predict(
    images: Annotated[
        list[str] | None,
        typer.Argument(help="Pictures, folders of pictures, or - for standard input."),
    ] = None,
    models: Annotated[
        str | None,
        typer.Option(
            help="Names, globs or tags of entries; all of the manifest by default.",
            metavar="NAME[,NAME…]",
        ),
    ] = None,
    manifest: Manifest = "sample",
    top: Annotated[int, typer.Option(min=1, help="How many classes to print.")] = 5,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    grid: Annotated[
        Path | None,
        typer.Option(help="Draw the pictures with their captions, as PNG or SVG.", metavar="FILE"),
    ] = None,
    json_lines: Annotated[
        bool, typer.Option("--json", help="One picture a line as JSON, for other programs.")
    ] = False,
) -> None:
    """Print the classes that trained models see in pictures, and whether the models agree.

    Example: [bold]zoobench predict dog.jpg --models 'efficientnet*' --top 3[/bold]

    Exit code 1 if a model's weights cannot be had or a picture cannot be read, 2 for a mistake in
    the command.
    """
    from bench.predict import classify, find_pictures
    from zoo.manifest import load, select

    if grid:
        _check_grid(grid)
    patterns = [word.strip() for word in (models or "").split(",") if word.strip()]
    entries = select(load(manifest).entries, patterns)
    answers = classify(entries, find_pictures(images or ()), top=top, device=device)
    for answer in answers.answers:
        typer.echo(_as_json(answer) if json_lines else _as_text(answer))
    _tell_problems(answers)
    if grid:
        _draw_grid(answers, grid)
    raise typer.Exit(0 if answers.complete else 1)


def _as_json(answer: "Answer") -> str:
    guesses = [
        {
            "model": guess.model,
            "weights_sha256": guess.weights_sha256,
            "top": [{"class": c, "name": n, "probability": p} for c, n, p in guess.top],
        }
        for guess in answer.guesses
    ]
    record = {
        "image": answer.picture.name,
        "agree": answer.agree,
        "unreadable": answer.unreadable,
        "models": guesses,
    }
    return json.dumps(record, ensure_ascii=False)


def _as_text(answer: "Answer") -> str:
    lines = [answer.picture.name]
    if answer.unreadable:
        lines.append(f"  cannot be read: {answer.unreadable}")
    for guess in answer.guesses:
        lines.append(f"  {guess.model}")
        lines += [f"    {100 * p:6.2f} %  {name} ({index})" for index, name, p in guess.top]
    if verdict := _verdict(answer):
        lines.append(f"  {verdict}")
    return "\n".join(map(printable, lines)) + "\n"


def _verdict(answer: "Answer") -> str:
    """Say whether the models agree; nothing where fewer than two speak."""
    if answer.agree is None:
        return ""
    votes = answer.votes().most_common()
    if answer.agree:
        return f"all {len(answer.guesses)} models agree: {votes[0][0]}"
    return "the models differ: " + ", ".join(f"{name} ({count})" for name, count in votes)


def _tell_problems(answers: "Answers") -> None:
    for model, note in answers.notes:
        print(f"zoobench: {model}: {note}", file=sys.stderr)
    for model, reason in answers.skipped:
        print(f"zoobench: {model}: skipped: {reason}", file=sys.stderr)
    for answer in answers.answers:
        if answer.unreadable:
            name, reason = answer.picture.name, answer.unreadable
            text = printable(f"{name}: cannot be read: {reason}")
            print(f"zoobench: {text}", file=sys.stderr)
        if answer.odd:
            text = printable(f"{answer.picture.name}: odd: {answer.odd}")
            print(f"zoobench: {text}", file=sys.stderr)


def _check_grid(path: Path) -> None:
    """Tell what is wrong with ``--grid`` before any model runs."""
    from bench.cli.choices import choice
    from reports.grid import SUFFIXES, check

    choice("--grid", path.suffix.lower(), SUFFIXES)
    check()


def _draw_grid(answers: "Answers", path: Path) -> None:
    from reports.grid import Cell, write_grid

    cells = []
    for answer in answers.answers:
        if answer.guesses:
            captions = [
                f"{guess.model}: {guess.top[0][1]} {100 * guess.top[0][2]:.1f} %"
                for guess in answer.guesses
            ]
            if answer.agree is False:
                captions.append("the models differ")
            name = Path(answer.picture.name).name
            cells.append(Cell(answer.picture.read(), name, tuple(captions)))
    if cells:
        print(f"zoobench: {write_grid(cells, path)}", file=sys.stderr)
