"""What a failure means, and what compiling did, is known by what torch says of it."""

import pytest
import torch
from torch import nn

from bench.measure.execution import Execution, does_not_fit, explained, is_out_of_memory, is_sticky
from bench.plan import Settings
from zoo.errors import MeasureError

OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    torch.AcceleratorError("CUDA error: out of memory"),
    MemoryError(),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: not enough memory"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("FIND was unable to find an engine to execute this computation"),
    RuntimeError("GET was unable to find an engine to execute this computation"),
]
INDEX = RuntimeError("Expected canUse32BitIndexMath(input) && canUse32BitIndexMath(output)")
OTHER = [
    RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
    RuntimeError("CUDA error: invalid configuration argument"),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=str)
def test_every_wording_of_too_little_memory_is_known(error: RuntimeError) -> None:
    assert is_out_of_memory(error)
    assert does_not_fit(error)
    assert not is_sticky(error)
    reason = str(explained(error, 256, torch.device("cuda")))
    assert reason.startswith("out of memory at batch 256 on cuda")


def test_a_batch_too_large_for_its_index_is_not_called_out_of_memory() -> None:
    assert does_not_fit(INDEX)
    assert not is_out_of_memory(INDEX)
    assert "batch 9000 is too large" in str(explained(INDEX, 9000, torch.device("cuda")))


# torch adds this to every error of CUDA: here as 2.11 does on an H100.
HINT = (
    "\nSearch for `cudaErrorAssert' in https://docs.nvidia.com/cuda/cuda-runtime-api/"
    "group__CUDART__TYPES.html for more information.\nCUDA kernel errors might be asynchronously "
    "reported at some other API call, so the stacktrace below might be incorrect.\nFor debugging "
    "consider passing CUDA_LAUNCH_BLOCKING=1\nCompile with `TORCH_USE_CUDA_DSA` to enable "
    "device-side assertions.\n"
)


@pytest.mark.parametrize(
    ("words", "sticky"),
    [
        ("CUDA error: an illegal memory access was encountered", True),
        ("CUDA error: device-side assert triggered", True),
        ("CUDA error: unspecified launch failure", True),
        ("CUDA error: misaligned address", True),
        ("CUDA error: an illegal instruction was encountered", True),
        ("Triton Error [CUDA]: an illegal memory access was encountered", True),
        ("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED", True),
        ("CUDA error: out of memory", False),
        ("CUDA error: invalid argument", False),
        ("CUDA error: no kernel image is available for execution on the device", False),
    ],
)
def test_sticky_errors_are_recognised(words: str, sticky: bool) -> None:
    error = torch.AcceleratorError(words + HINT)
    assert is_sticky(error) is sticky
    reason = explained(error, 8, torch.device("cuda"))
    reason.__cause__ = error
    assert is_sticky(reason) is sticky


def test_words_alone_are_no_error_of_cuda() -> None:
    assert not is_sticky(ValueError("CUDA error: misaligned address"))
    assert not is_sticky(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))


@pytest.mark.parametrize("error", OTHER, ids=str)
def test_other_failures_are_neither(error: RuntimeError) -> None:
    assert not does_not_fit(error)
    assert not is_sticky(error)
    assert "the forward pass failed: RuntimeError" in str(explained(error, 1, torch.device("cpu")))


class _Breaks(nn.Module):
    """Reads a value in Python, which a graph cannot."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return batch + 1 if batch.sum().item() > 0 else batch * 2


def test_compiling_reports_its_seconds_and_graph_breaks() -> None:
    execution = Execution(_Breaks(), Settings(compile="inductor"), "cpu")
    assert execution.compiled
    execution.forward(torch.ones(1, 3, 2, 2))
    found = execution.compilation()
    assert found is not None
    assert found.graphs == 2
    assert sum(found.graph_breaks.values()) == 1
    assert found.seconds > 0

    whole = Execution(nn.Identity(), Settings(compile="inductor"), "cpu")
    whole.forward(torch.ones(1))
    found = whole.compilation()
    assert found is not None
    assert found.graph_breaks == {}  # the break before is not this network's


def test_an_eager_network_has_no_compilation() -> None:
    assert Execution(nn.Identity(), Settings(), "cpu").compilation() is None


def test_a_precision_that_a_device_lacks_is_refused() -> None:
    with pytest.raises(MeasureError, match="CUDA devices only"):
        Execution(nn.Identity(), Settings(precision="tf32"), "cpu")


class _UsesOlderSwitches(nn.Module):
    """As networks do that turn cuDNN off around one layer."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        with torch.backends.cudnn.flags(enabled=False):
            batch = batch + 1
        return batch * int(torch.backends.cudnn.allow_tf32)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "amp"])
def test_a_network_may_set_cudnn_flags_in_every_precision(precision: str) -> None:
    settings = Settings.model_validate({"precision": precision})
    assert not Execution(_UsesOlderSwitches(), settings, "cpu").forward(torch.ones(1)).any()
