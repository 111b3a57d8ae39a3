"""The order of copies to and from a GPU, recorded by a stand-in; no GPU is needed."""

from contextlib import contextmanager
from typing import Any

import torch

from bench.measure.transfer import CudaTransfers


class _Cuda:
    """Takes the place of torch.cuda and of a tensor; records what is called on which stream."""

    def __init__(self, *, pinned: bool = False) -> None:
        self.calls: list[str] = []
        self._pinned = pinned
        self._on = "compute"

    def Stream(self, device: Any) -> str:
        return "copies"

    @contextmanager
    def stream(self, name: str) -> Any:
        before, self._on = self._on, name
        yield
        self._on = before

    def Event(self, **options: bool) -> "_Cuda":
        assert options == {"enable_timing": True, "blocking": True}
        return self

    def record(self, stream: Any) -> None:
        self.calls.append(f"event on {self._on}")

    def is_pinned(self) -> bool:
        return self._pinned

    def pin_memory(self) -> "_Cuda":
        self.calls.append("pin")
        return self

    def to(self, device: Any, *, non_blocking: bool) -> "_Cuda":
        assert non_blocking
        self.calls.append(f"copy on {self._on}")
        return self

    def current_stream(self, device: Any) -> "_Cuda":
        return self

    def wait_event(self, event: Any) -> None:
        self.calls.append(f"{self._on} waits")

    def record_stream(self, stream: Any) -> None:
        self.calls.append(f"kept for {self._on}")


def test_a_batch_is_copied_on_its_own_stream_and_waited_for_where_it_is_used() -> None:
    cuda: Any = _Cuda()
    transfers = CudaTransfers(torch.device("cuda"), cuda)
    # The second begins before the first is used.
    uploads = [transfers.upload(cuda), transfers.upload(cuda)]
    copy = ["event on copies", "copy on copies", "event on copies"]
    assert cuda.calls == ["pin", *copy] * 2
    cuda.calls.clear()
    assert transfers.arrived(uploads[0]) is cuda
    assert cuda.calls == ["compute waits", "kept for compute"]


def test_pinned_memory_is_copied_from_where_it_is() -> None:
    cuda: Any = _Cuda(pinned=True)
    CudaTransfers(torch.device("cuda"), cuda).upload(cuda)
    assert "pin" not in cuda.calls
