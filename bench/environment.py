"""The environment variables that change metrics: one table, for records, docs and ``env``."""

import os
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, get_args

Group = Literal["GPU", "torch", "threads", "allocator", "networks"]
GROUPS: tuple[Group, ...] = get_args(Group)


@dataclass(frozen=True)
class Variable:
    """A variable, or all whose names match a pattern with ``*``, and what it changes."""

    name: str
    group: Group
    changes: str


VARIABLES: tuple[Variable, ...] = (
    Variable("CUDA_VISIBLE_DEVICES", "GPU", "which GPUs there are, and their numbers"),
    Variable("NVIDIA_VISIBLE_DEVICES", "GPU", "which GPUs a container gets"),
    Variable("CUDA_DEVICE_ORDER", "GPU", "which GPU is cuda:0 where models differ"),
    Variable("CUDA_LAUNCH_BLOCKING", "GPU", "1: each launch waits; speed collapses"),
    Variable("CUDA_MODULE_LOADING", "GPU", "when kernels are loaded: first call, memory"),
    Variable("CUDA_DEVICE_MAX_CONNECTIONS", "GPU", "hardware queues: overlap with copies"),
    Variable("CUDA_CACHE_*", "GPU", "the cache of compiled kernels: first call"),
    Variable("CUDA_MPS_*", "GPU", "sharing of a GPU with other processes, and its share"),
    Variable("NVIDIA_TF32_OVERRIDE", "GPU", "0: no TF32 even if asked for; speed and predictions"),
    Variable("CUBLAS_WORKSPACE_CONFIG", "GPU", "workspace of cuBLAS: memory, speed, determinism"),
    Variable("CUBLASLT_WORKSPACE_SIZE", "GPU", "workspace of cuBLASLt: memory, speed"),
    Variable("CUDNN_*", "GPU", "cuDNN's libraries, logging and algorithms"),
    Variable("PYTORCH_ALLOC_CONF", "torch", "the allocator of GPU memory: peak memory, speed"),
    Variable("PYTORCH_CUDA_ALLOC_CONF", "torch", "the same, by its older name"),
    Variable("PYTORCH_NO_CUDA_MEMORY_CACHING", "torch", "1: no caching; peak memory, speed"),
    Variable("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "torch", "1: TF32 where fp32 is asked for"),
    Variable("TORCH_BLAS_PREFER_*", "torch", "the library for matrix products: speed, last bits"),
    Variable("TORCH_CUDNN_*", "torch", "how torch uses cuDNN: choice and cache of plans"),
    Variable("TORCH_LINALG_PREFER_*", "torch", "the library for linear algebra"),
    Variable("DISABLE_ADDMM_CUDA_LT", "torch", "1: no cuBLASLt for linear layers: speed"),
    Variable("TORCH_COMPILE_DISABLE", "torch", "1: --compile does not compile"),
    Variable("TORCHDYNAMO_*", "torch", "what --compile traces"),
    Variable("TORCHINDUCTOR_*", "torch", "what --compile generates: speed, compile seconds"),
    Variable("TRITON_*", "torch", "how --compile's kernels are built and cached"),
    Variable("ATEN_CPU_CAPABILITY", "torch", "the vector instructions of torch's own CPU kernels"),
    Variable("ONEDNN_*", "torch", "instructions and precision of oneDNN's CPU kernels"),
    Variable("DNNL_*", "torch", "the same, by its older name"),
    Variable("OMP_NUM_THREADS", "threads", "threads of an operator; zoobench's cores"),
    Variable("MKL_NUM_THREADS", "threads", "threads of MKL"),
    Variable("MKL_CBWR", "torch", "MKL's code path: the last bits, speed"),
    Variable("MKL_ENABLE_INSTRUCTIONS", "torch", "the vector instructions of MKL"),
    Variable("OMP_PROC_BIND", "threads", "whether threads stay on their cores"),
    Variable("OMP_PLACES", "threads", "on which cores threads run"),
    Variable("OMP_WAIT_POLICY", "threads", "whether waiting threads spin"),
    Variable("GOMP_CPU_AFFINITY", "threads", "on which cores libgomp's threads run"),
    Variable("GOMP_SPINCOUNT", "threads", "how long libgomp's waiting threads spin"),
    Variable("KMP_AFFINITY", "threads", "on which cores libiomp's threads run"),
    Variable("KMP_BLOCKTIME", "threads", "how long libiomp's waiting threads spin"),
    Variable("MALLOC_TOP_PAD_", "allocator", "how much glibc asks of the kernel at once"),
    Variable("MALLOC_MMAP_THRESHOLD_", "allocator", "from which size glibc maps blocks afresh"),
    Variable("MALLOC_TRIM_THRESHOLD_", "allocator", "when glibc gives memory back"),
    Variable("MALLOC_ARENA_MAX", "allocator", "how many heaps the threads have: memory, speed"),
    Variable("GLIBC_TUNABLES", "allocator", "all of these, and more"),
    Variable("MALLOC_CONF", "allocator", "settings of jemalloc"),
    Variable("LD_PRELOAD", "allocator", "libraries in place of the usual ones, malloc among them"),
    Variable("TIMM_FUSED_ATTN", "networks", "0: timm's attention is not fused: speed, memory"),
)


def names(group: Group) -> tuple[str, ...]:
    """Return the names of a group, without patterns."""
    return tuple(v.name for v in VARIABLES if v.group == group and "*" not in v.name)


def set_variables() -> dict[str, str]:
    """Return the variables of the table that are set in this process, by name."""
    return {name: value for name, value in sorted(os.environ.items()) if is_listed(name)}


def is_listed(name: str) -> bool:
    """Return whether a variable is in the table, by its name or by a pattern."""
    return any(fnmatchcase(name, variable.name) for variable in VARIABLES)


def markdown() -> str:
    """Return the table as docs/environment.md has it: a heading and a table for each group."""
    parts = []
    for group in GROUPS:
        lines = [f"| `{v.name}` | {v.changes} |" for v in VARIABLES if v.group == group]
        parts.append("\n".join([f"### {group}", "", "| variable | changes |", "|---|---|", *lines]))
    return "\n\n".join(parts) + "\n"
