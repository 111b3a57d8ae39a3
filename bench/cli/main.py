"""The ``zoobench`` command: its sub-commands, and what an error looks like."""

import gc
import io
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Annotated

import typer

from bench.cli.ab import ab
from bench.cli.audit import audit
from bench.cli.cache import cache
from bench.cli.claims import claims
from bench.cli.compare import compare
from bench.cli.doctor import doctor
from bench.cli.encoding import IN_ASCII
from bench.cli.env import env
from bench.cli.list import list_entries
from bench.cli.plot import plot
from bench.cli.predict import predict
from bench.cli.report import report
from bench.cli.run import run
from zoo.errors import InterruptedRunError, ZoobenchError
from zoo.text import printable

app = typer.Typer(
    name="zoobench",
    help="Measure what image models are worth: accuracy, cost and speed of one set of weights in "
    "one row, with the evidence kept.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("list")(list_entries)
app.command("run")(run)
app.command("report")(report)
app.command("ab")(ab)
app.command("audit")(audit)
app.command("compare")(compare)
app.command("plot")(plot)
app.command("predict")(predict)
app.command("cache")(cache)
app.command("doctor")(doctor)
app.command("env")(env)
app.add_typer(claims, name="claims")


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"zoobench {version('zoobench')}")
        raise typer.Exit


@app.callback()
def _root(
    debug: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    """Options that stand before the sub-command."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exit 0 if all is well, 1 for a failed row, 2 for a user's mistake.

    SIGTERM and SIGHUP clean up as Ctrl-C does, and exit with 128 and their number.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=IN_ASCII)
    with _signals_interrupt():
        _run(arguments)


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """Raise KeyboardInterrupt for the first SIGTERM or SIGHUP, and exit with its code."""
    received: list[int] = []

    def interrupt(number: int, _: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)  # a second one would cut the clean-up short
        received.append(number)
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt)
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) != signal.SIG_IGN  # nohup's
    }
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        if received:
            sys.exit(128 + received[0])
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _home_explained() -> Iterator[None]:
    """Raise ZoobenchError where pathlib finds no folder for the ``~`` of a path."""
    try:
        yield
    except RuntimeError as error:
        if "home directory" not in str(error):
            raise
        raise ZoobenchError(
            "a path begins with '~', and that user has no home: write the path in full"
        ) from error


def _run(arguments: list[str]) -> None:
    debug = "--debug" in arguments  # wherever it stands
    try:
        with _home_explained():
            words = [word for word in arguments if word != "--debug"]
            code = app(words, prog_name="zoobench", standalone_mode=False) or 0
    except ZoobenchError as error:
        if debug:
            traceback.print_exc()
        print(f"zoobench: error: {printable(str(error))}", file=sys.stderr)
        sys.exit(error.exit_code)
    except Exception as error:
        # Typer's own: its class has another module in each release.
        if not hasattr(error, "format_message"):
            raise
        if message := error.format_message():  # empty where the help was printed instead
            print(f"zoobench: error: {printable(message)}{_hint(error)}", file=sys.stderr)
        sys.exit(2)
    else:
        if code == InterruptedRunError.exit_code:  # Typer prints nothing then
            print("zoobench: error: interrupted", file=sys.stderr)
        sys.exit(code)
    finally:
        gc.freeze()  # else Python's end goes over all of pandas and scipy: a quarter of a second


def _hint(error: Exception) -> str:
    """Return where a command whose words Typer could not take is explained, if it knows which."""
    context = getattr(error, "ctx", None)
    return f"; see: {context.command_path} --help" if context else ""
