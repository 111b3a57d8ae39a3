"""The order of a copy to a GPU, told by a stand-in; no GPU is needed, and none was there."""

from contextlib import contextmanager
from typing import Any

import torch

from bench.measure.transfer import CopyStream


class _Cuda:
    """Takes the place of torch.cuda and of a tensor; notes what is called on which stream."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._on = "compute"

    def Stream(self, device: Any) -> str:
        return "copies"

    @contextmanager
    def stream(self, name: str) -> Any:
        before, self._on = self._on, name
        yield
        self._on = before

    def Event(self) -> "_Cuda":
        return self

    def record(self, stream: str) -> None:
        self.calls.append(f"event on {stream}")

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
    copies = CopyStream(torch.device("cuda"), cuda)
    # The second begins before the first is used.
    uploads = [copies.upload(cuda), copies.upload(cuda)]
    assert cuda.calls == ["pin", "copy on copies", "event on copies"] * 2
    cuda.calls.clear()
    assert copies.arrived(uploads[0]) is cuda
    assert cuda.calls == ["compute waits", "kept for compute"]
