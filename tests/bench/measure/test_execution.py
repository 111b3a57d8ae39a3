"""Which errors leave a process without CUDA; the words are those of torch on CUDA."""

import pytest
import torch

from bench.measure.execution import explained, is_sticky

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
