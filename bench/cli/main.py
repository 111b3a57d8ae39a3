"""The ``zoobench`` command: its sub-commands, and what an error looks like."""

import gc
import sys
import traceback
from typing import Annotated

import typer

from bench.cli.ab import ab
from bench.cli.audit import audit
from bench.cli.cache import cache
from bench.cli.claims import claims
from bench.cli.compare import compare
from bench.cli.doctor import doctor
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
    """Run the command line; exit 0 if all is well, 1 for a failed row, 2 for a user's mistake."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments  # wherever it stands
    try:
        app([word for word in arguments if word != "--debug"], prog_name="zoobench")
    except ZoobenchError as error:
        if debug:
            traceback.print_exc()
        print(f"zoobench: error: {printable(str(error))}", file=sys.stderr)
        sys.exit(error.exit_code)
    except SystemExit as end:
        if end.code == InterruptedRunError.exit_code:  # Typer says nothing of it
            print("zoobench: error: interrupted", file=sys.stderr)
        raise
    finally:
        gc.freeze()  # else Python's end goes over all of pandas and scipy: a quarter of a second
