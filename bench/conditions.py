"""What the machine and the software were while a row was measured."""

import ctypes
import os
import platform
import re
import subprocess
import warnings
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench import environment, nvml
from zoo.errors import MeasureError, first_line

_PACKAGES = ("zoobench", "torch", "torchvision", "timm", "fvcore", "numpy", "pillow")
# glibc gives large activations back to the kernel and faults them in again at every step, unless
# these say otherwise; docs/figures.md has what it costs. Harmless where the allocator is another.
ALLOCATOR_ENVIRONMENT = {
    "MALLOC_TOP_PAD_": str(256 * 2**20),
    "MALLOC_MMAP_THRESHOLD_": str(4 * 2**30),
    "MALLOC_TRIM_THRESHOLD_": str(4 * 2**30),
    # One arena for all threads: the others are capped at 64 MiB and map anything larger afresh.
    "MALLOC_ARENA_MAX": "1",
}
# libgomp's waiting threads spin for milliseconds, for cores that a neighbour then lacks. So few
# turns keep an idle machine's speed; docs/figures.md has what each costs.
BRIEF_SPIN = {"GOMP_SPINCOUNT": "1000"}
# Of sys/personality.h.
_ADDR_NO_RANDOMIZE = 0x0040000
_CGROUP = Path("/sys/fs/cgroup")
_PROCESS_GROUPS = Path("/proc/self/cgroup")
_CPUS = Path("/sys/devices/system/cpu")


def worker_environment() -> dict[str, str]:
    """Return what workers start with beyond the user's environment, where he has not set it."""
    waiting = {} if "OMP_WAIT_POLICY" in os.environ else BRIEF_SPIN
    wanted = {**ALLOCATOR_ENVIRONMENT, **waiting}
    return {name: value for name, value in wanted.items() if name not in os.environ}


def resolve_device(asked: str) -> str:
    """Return the torch device for ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        MeasureError: there is no such device, or ``auto`` finds a GPU that torch cannot use.
    """
    if asked == "cpu":
        return asked
    if asked == "auto":
        return _automatic_device()
    match = re.fullmatch(r"cuda(?::(\d+))?", asked)
    if match is None:
        raise MeasureError(f"device {asked!r}: unknown; choices: auto, cpu, cuda, cuda:N")
    import torch

    if problem := _cuda_problem():
        raise MeasureError(f"device {asked!r}: {problem}; or use --device cpu")
    count = torch.cuda.device_count()
    if int(match[1] or 0) >= count:
        known = ", ".join(f"cuda:{i}" for i in range(count))
        raise MeasureError(f"device {asked!r}: there is no such GPU; choices: {known}")
    return asked


def _automatic_device() -> str:
    """Return ``cuda`` where torch can use a GPU, and ``cpu`` only where there is none to use."""
    import torch

    problem = _cuda_problem()
    if problem is None:
        return "cuda"
    if torch.version.cuda is not None and _nvml_finds_gpus():
        raise MeasureError(f"device 'auto': {problem}; or use --device cpu")
    return "cpu"


def _cuda_problem() -> str | None:
    """Return why torch cannot use a GPU, and what to do; None if it can."""
    import torch

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")  # torch warns of a driver that fails, and returns False
        if torch.cuda.is_available():
            return None
    built = f"torch {torch.__version__}"
    if torch.version.cuda is None:
        return f"{built} is built without CUDA; install a build with CUDA"
    driver = nvml.driver_cuda()
    if driver is None:
        return f"{built} sees no CUDA device, and NVML no driver; install the NVIDIA driver"
    if driver[0] < int(torch.version.cuda.partition(".")[0]):
        return (
            f"{built} needs a driver for CUDA {torch.version.cuda}, driver {nvml.driver()} is for "
            f"CUDA {driver[0]}.{driver[1]}; update the driver"
        )
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    if shown is not None and not _nvml_finds_gpus():
        return f"{built} sees no CUDA device, CUDA_VISIBLE_DEVICES is {shown!r}; name a GPU there"
    said = f": {first_line(caught[0].message)}" if caught else ""  # type: ignore[arg-type]
    return f"{built} cannot use the GPU{said}; check that CUDA programs run here"


def _nvml_finds_gpus() -> bool:
    try:
        return bool(nvml.visible())
    except MeasureError:
        return False


def device_name(device: str) -> str:
    """Return the GPU's or the processor's name; a GPU's by NVML, which needs no CUDA context."""
    if not device.startswith("cuda"):
        return processor_name()
    try:
        return _gpu(device).name
    except MeasureError:
        import torch

        return torch.cuda.get_device_name(device)


def _gpu(device: str) -> nvml.Gpu:
    """Return the GPU of a resolved torch device; by UUID where this process uses CUDA already.

    Raises:
        MeasureError: NVML does not know it.
    """
    import torch

    index = torch.device(device).index or 0
    if not torch.cuda.is_initialized():
        return nvml.find(index)
    return nvml.find(index, str(torch.cuda.get_device_properties(index).uuid))


@cache
def processor_name() -> str:
    """Return the processor's name, from /proc/cpuinfo where there is one."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith(("model name", "Model")):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@cache
def processor_id() -> str | None:
    """Return family, model and stepping, which tell apart processors that share a vague name."""
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return None
    lines = (line.partition(":") for line in info.read_text().partition("\n\n")[0].splitlines())
    found = {name.strip(): value.strip() for name, _, value in lines}
    known = [found[name] for name in ("cpu family", "model", "stepping") if name in found]
    return "/".join(known) or None


def cores() -> int:
    """Return the number of cores that this process may use.

    Its affinity's, or fewer by its control groups' quota (a container's ``--cpus``, rounded down)
    or OMP_NUM_THREADS.
    """
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    limit = os.environ.get("OMP_NUM_THREADS", "")
    if limit.isdigit() and int(limit) > 0:
        count = min(count, int(limit))
    return max(1, int(min([count, *_cpu_quotas()])))


def _cpu_quotas() -> Iterator[float]:
    """Yield the cores' worth of time that each control group above this process grants."""
    for folder in _control_groups("cpu"):
        for words in (
            _words(folder / "cpu.max"),  # of version 2: "max 100000" is without bound
            _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us"),
        ):
            if len(words) == 2 and all(word.isdigit() for word in words):
                yield int(words[0]) / int(words[1])


def _control_groups(controller: str) -> Iterator[Path]:
    """Yield the folders of this process's control groups and of those above: all of them bind.

    A container sees its own as the root.
    """
    for line in _lines(_PROCESS_GROUPS):
        _, names, path = line.split(":", 2)
        if names == "" or controller in names.split(","):
            root = _CGROUP / names
            own = root / path.strip("/")
            yield own
            yield from (folder for folder in own.parents if folder.is_relative_to(root))


def limit_cores(count: int) -> None:
    """Let this process use so many cores: its lanes, and torch's threads."""
    import torch

    os.environ["OMP_NUM_THREADS"] = str(count)
    torch.set_num_threads(count)


def available_memory_bytes() -> int | None:
    """Return the memory that can be had without swapping, by the kernel and by the container."""
    info = Path("/proc/meminfo")
    if not info.is_file():
        return None
    fields = dict(line.split(":", 1) for line in info.read_text().splitlines())
    left = [int(fields["MemAvailable"].split()[0]) * 1024]
    for folder in _control_groups("memory"):
        for limit, used in (
            ("memory.max", "memory.current"),  # of version 2
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            values = [_first_word(folder / name) for name in (limit, used)]
            if all(value.isdigit() for value in values):
                left.append(int(values[0]) - int(values[1]))
    return max(0, min(left))


def load_average() -> float | None:
    """Return the load average of the last minute, where the system has one."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def governors() -> dict[str, int] | None:
    """Return the frequency governors and how many cores each has; None if none is told."""
    found = Counter(_first_word(path) for path in _CPUS.glob("cpu*/cpufreq/scaling_governor"))
    return dict(found) or None


def malloc_library() -> str | None:
    """Return the file whose ``malloc`` this process calls, with glibc's version; None if unknown.

    It is asked of the dynamic linker, so a preloaded jemalloc or tcmalloc is told as what it is.
    """
    try:
        library = ctypes.CDLL(None)
        address = ctypes.cast(library.malloc, ctypes.c_void_p)
        found = _DlInfo()
        if not library.dladdr(address, ctypes.byref(found)) or not found.file:
            return None
    except (OSError, AttributeError):
        return None
    path = os.fsdecode(found.file)
    if Path(path).name.startswith("libc.so"):
        return f"{path} ({' '.join(platform.libc_ver())})"
    return path


def random_addresses() -> bool | None:
    """Return whether libraries, stack and heap lie elsewhere in each process; None if unknown."""
    own, everywhere = (
        _first_word(Path(path))
        for path in ("/proc/self/personality", "/proc/sys/kernel/randomize_va_space")
    )
    if not own or not everywhere:
        return None
    return everywhere != "0" and not int(own, 16) & _ADDR_NO_RANDOMIZE


class _DlInfo(ctypes.Structure):
    """``Dl_info`` of dlfcn.h."""

    _fields_ = (
        ("file", ctypes.c_char_p),
        ("base", ctypes.c_void_p),
        ("symbol", ctypes.c_char_p),
        ("symbol_address", ctypes.c_void_p),
    )


def _first_word(path: Path) -> str:
    return (_words(path) or [""])[0]


def _words(path: Path) -> list[str]:
    return [word for line in _lines(path) for word in line.split()]


def _lines(path: Path) -> list[str]:
    """Return a file's lines; none if it cannot be read."""
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def collect(device: str, load_before: float | None = None) -> dict[str, Any]:
    """Return versions, device, threads, allocator and load, as plain JSON values."""
    import torch

    found: dict[str, Any] = {
        **software(),
        "device": device,
        "device_name": device_name(device),
        "processor": processor_name(),
        "processor_id": processor_id(),
        "cores": cores(),
        "affinity": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "governors": governors(),
        "torch_threads": torch.get_num_threads(),
        "torch_interop_threads": torch.get_num_interop_threads(),
        "threads": {name: os.environ.get(name) for name in environment.names("threads")},
        "load_average_1min": load_average(),
        "load_average_1min_before": load_before,
        "allocator": {name: os.environ.get(name) for name in ALLOCATOR_ENVIRONMENT},
        "malloc": malloc_library(),
        "preloaded": os.environ.get("LD_PRELOAD"),
        "random_addresses": random_addresses(),
        "environment": environment.set_variables(),
    }
    if device.startswith("cuda"):
        found |= {
            "cuda": torch.version.cuda,
            # Asking torch for it initialises CUDA.
            "cudnn": torch.backends.cudnn.version() if torch.cuda.is_initialized() else None,
            "driver": nvml.driver(),
            "gpu": gpu_state(device),
        }
    return found


def gpu_state(device: str) -> dict[str, Any]:
    """Return limits, clocks and modes of a resolved CUDA device, by NVML, as plain JSON values.

    ``other_processes`` are those with a CUDA context on it, without this one. Where NVML does not
    know the device, there is only a ``note``.
    """
    import torch

    try:
        found = nvml.state(_gpu(device))
    except MeasureError as error:
        return {"note": str(error)}
    processes = found.pop("processes")
    own = int(torch.cuda.is_initialized())
    others = None if processes is None else max(0, processes - own)
    return {**found, "other_processes": others}


@cache
def software() -> dict[str, Any]:
    """Return the versions of everything whose change may change a figure."""
    from PIL import features

    return {
        "platform": platform.platform(),
        "python": platform.python_version(),
        **{name: _version(name) for name in _PACKAGES},
        "libjpeg": features.version("jpg"),
        "libjpeg_turbo": features.version("libjpeg_turbo"),
        "git_commit": git_commit(),
    }


def git_commit() -> str | None:
    """Return the commit of zoobench's own checkout, with ``+`` if it has changes, or None."""
    here = Path(__file__).resolve().parent.parent
    if not (here / ".git").exists():
        return None
    command = ["git", "-C", str(here), "describe", "--always", "--abbrev=12", "--dirty=+"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
