"""One side of a comparison: a process that builds networks and runs their steps when it is told.

Started as a file, so that any interpreter can run it. Reads a JSON object a line from standard
input and answers each with one; whatever else is printed goes to standard error. The first line
says which folder a revision lies in, if there is one. Torch is imported once; each row then has a
fork of its own.
"""

import ctypes
import importlib
import importlib.util
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from torch import Tensor

    from bench.measure.execution import Execution

# Of sys/personality.h; here too, because nothing of zoobench can be imported yet.
_ADDR_NO_RANDOMIZE = 0x0040000
ROOT = Path(__file__).resolve().parents[2]
OLDEST_PYTHON = (3, 11)
# Module -> what pip calls it. The measuring code itself comes from this checkout.
NEEDED = {
    "torch": "torch",
    "torchvision": "torchvision",
    "timm": "timm",
    "numpy": "numpy",
    "PIL": "pillow",
    "pydantic": "pydantic",
    "safetensors": "safetensors",
    "huggingface_hub": "huggingface-hub",
}


def fix_addresses() -> None:
    """Run this file anew without address randomisation, if the system can be told so.

    Where libraries, stack and heap come to lie makes a process several percent faster or slower for
    all its life, and that of its forks (Mytkowicz et al., "Producing Wrong Data Without Doing
    Anything Obviously Wrong!", ASPLOS 2009). Equal sides must have equal addresses.
    """
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None)
    current = libc.personality(0xFFFFFFFF)  # asks only
    if current & _ADDR_NO_RANDOMIZE or libc.personality(current | _ADDR_NO_RANDOMIZE) == -1:
        return  # it is so already, or a container forbids it
    os.execv(sys.executable, [sys.executable, __file__])


def main() -> None:
    """Import everything once, say so, then serve rows until standard input ends."""
    answers = _take_standard_output()
    revision = json.loads(sys.stdin.readline())["revision"]
    reason = _prepare(revision)
    _say(answers, {"failed": reason} if reason else {"ready": True})
    if reason:
        return
    for line in sys.stdin:
        request = json.loads(line)
        if "entry" not in request:  # meant for a fork that died before it could read it
            continue
        child = os.fork()
        if child == 0:
            _serve_row(request, revision, answers)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        _say(answers, {"ended": os.waitstatus_to_exitcode(status)})


def _take_standard_output() -> TextIO:
    """Return a stream to the parent; from now on prints go to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def _say(answers: TextIO, message: dict[str, Any]) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()


def _prepare(revision: str | None) -> str | None:
    """Import torch and the libraries; return why this interpreter cannot be a side, or None."""
    if sys.version_info < OLDEST_PYTHON:
        return f"{sys.executable} is Python {sys.version.split()[0]}; zoobench needs 3.11 or newer"
    # In place of this file's folder. The package is imported before a revision goes in front of
    # it, so that both sides are measured by the same code, whatever the revision holds.
    sys.path[0] = str(ROOT)
    importlib.import_module("bench")
    if revision:
        sys.path.insert(0, revision)
    missing = [pip for module, pip in NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        names = " ".join(missing)
        return f"{sys.executable} lacks {names}; mend it: {sys.executable} -m pip install {names}"
    try:
        for module in ("zoo.sources.timm", "zoo.sources.torchvision", "bench.measure.execution"):
            importlib.import_module(module)
        _prepare_conditions()
    except Exception as error:  # whatever an installation does, it costs this side
        traceback.print_exc()
        return f"{sys.executable} cannot import what a network needs: {_told(error)}"
    if sys.modules["torch"].cuda.is_initialized():
        return (
            f"{sys.executable}: importing the networks' packages started CUDA, which forks cannot "
            "use; have them start it when a network is built"
        )
    return None


def _prepare_conditions() -> None:
    """Ask for what is the same in every fork, which takes longer than opening a small network."""
    from bench import conditions

    conditions.software()
    conditions.processor_name()
    conditions.processor_id()


def _serve_row(request: dict[str, Any], revision: str | None, answers: TextIO) -> None:
    """Build a row's network, then run steps as told, until told to end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers itself

    def answer(make: Callable[[], dict[str, Any]]) -> None:
        try:
            _say(answers, make())
        except Exception as error:  # whatever a model does, it costs one row
            traceback.print_exc()
            _say(answers, {"failed": _told(error)})

    row = _Row(request, revision)
    answer(row.open)
    for line in sys.stdin:
        match json.loads(line):
            case {"steps": steps}:
                answer(partial(row.turn, steps))
            case {"threads": threads}:
                answer(partial(row.use_threads, threads))
            case _:
                return


class _Row:
    """A network, a batch on its device, and the clock that fits it."""

    def __init__(self, request: dict[str, Any], revision: str | None) -> None:
        self._request = request
        self._revision = revision
        self._execution: Execution
        self._batch: Tensor

    def open(self) -> dict[str, Any]:
        """Build, run once, and return the conditions. Weights do not change the work."""
        import numpy as np
        import torch

        from bench import conditions
        from bench.measure.execution import Execution
        from bench.plan import Settings, default_batch_size
        from zoo import build
        from zoo.entry import Entry

        torch.backends.cudnn.benchmark = True
        entry = Entry.model_validate(self._request["entry"])
        settings = Settings.model_validate(self._request["settings"])
        build.check(entry)
        device = conditions.resolve_device(settings.device)
        self._execution = Execution(build.random_network(entry), settings, device)
        preprocess = build.preprocess(entry)
        size = self._request["batch_size"] or default_batch_size(device)
        shape = (size, *preprocess.crop_px, preprocess.input_channels)
        pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        self._batch = self._execution.place(pixels, preprocess)
        first_call_s = self._execution.seconds_of_first_call(self._batch)
        return {
            "pid": os.getpid(),
            "batch_size": size,
            "first_call_s": first_call_s,
            "conditions": conditions.collect(device),
            "of_revision": _of_revision(self._revision),
        }

    def use_threads(self, threads: int) -> dict[str, Any]:
        """Run the coming steps with so many threads."""
        import torch

        torch.set_num_threads(threads)
        return {"threads": torch.get_num_threads()}

    def turn(self, steps: int) -> dict[str, Any]:
        """Run so many steps and return the seconds of each."""
        from bench.measure.execution import explained
        from bench.measure.timing import clock_for

        device = self._execution.device
        clock = clock_for(device)
        try:
            clock.mark()
            for _ in range(steps):
                self._execution.forward(self._batch)
                clock.mark()
            return {"steps_s": clock.steps_s()}
        except (RuntimeError, MemoryError) as error:
            raise explained(error, len(self._batch), device) from error


def _of_revision(revision: str | None) -> list[str]:
    """Return the modules that came from the revision's folder.

    Raises:
        MeasureError: there is a revision, and none did, so that it would not be compared.
    """
    from zoo.errors import MeasureError

    if revision is None:
        return []
    files = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
    found = sorted(name for name, file in files.items() if file and file.startswith(revision + "/"))
    if not found:
        raise MeasureError(
            "nothing of the revision was imported: the network comes from elsewhere; give --repo "
            "the folder that Python imports the network's package from"
        )
    return found


def _told(error: Exception) -> str:
    from zoo.errors import ZoobenchError, with_type

    if isinstance(error, MemoryError):
        return f"out of memory: {error}"
    return str(error) if isinstance(error, ZoobenchError) else with_type(error)


if __name__ == "__main__":
    fix_addresses()
    main()
