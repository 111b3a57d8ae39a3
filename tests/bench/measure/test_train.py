"""Training steps: they learn, their parts add up, and a precision that cannot train says so."""

import pytest
import torch
from torch import nn

from bench.measure import Row, train
from bench.measure.execution import Execution
from bench.measure.train import TrainingStep
from bench.plan import Job, Settings
from bench.records import Training
from tests.bench.measure.test_batch import LENET
from zoo.errors import MeasureError


def _row(**settings: object) -> Row:
    job = Job(
        entry=LENET,
        figures=("train",),
        settings=Settings.model_validate({"batch_size": 2, "device": "cpu", **settings}),
        store="unused",
        data=None,
        labels="imagenet",
        limit=None,
        retry_failed=False,
    )
    return Row(job, "cpu", "a processor", lambda done, total, unit: None)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "amp"])
def test_a_training_step_has_three_parts(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.measure.speed.Budget", _quick)
    evidence = train.run(_row(precision=precision)).evidence
    assert isinstance(evidence, Training)
    parts = (evidence.forward_s, evidence.backward_s, evidence.optimizer_s)
    for step, *of_parts in zip(evidence.steps_s, *parts, strict=True):
        assert step == pytest.approx(sum(of_parts))
        assert min(of_parts) > 0
    assert evidence.host is not None


def _quick(min_steps: int, target_rse: float | None) -> object:
    from bench.measure.timing import Budget

    assert min_steps == 10
    return Budget(min_steps=3, min_seconds=0, target_rse=target_rse)


def _step(network: nn.Module, **settings: object) -> TrainingStep:
    execution = Execution(network, Settings.model_validate(settings), "cpu")
    return TrainingStep(execution, torch.randn(8, 4, generator=torch.Generator().manual_seed(0)))


def _losses(step: TrainingStep, steps: int) -> list[float]:
    losses = []
    for _ in range(steps):
        step.forward()
        step.backward()
        step.optimize()
        losses.append(float(step.loss.detach()))
    return losses


@pytest.mark.parametrize("settings", [{}, {"precision": "amp"}, {"memory_format": "channels_last"}])
def test_steps_really_train(settings: dict[str, str]) -> None:
    torch.manual_seed(0)
    losses = _losses(_step(nn.Sequential(nn.Linear(4, 64), nn.Linear(64, 3)), **settings), 50)
    assert losses[-1] < losses[0]


class _TwoHeads(nn.Module):
    """In training also gives what an auxiliary head says, as Inception-v3 does."""

    def __init__(self) -> None:
        super().__init__()
        self.main, self.auxiliary = nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.main(x), self.auxiliary(x)


def test_auxiliary_heads_are_trained_too() -> None:
    network = _TwoHeads()
    step = _step(network)
    step.forward()
    step.backward()
    assert network.auxiliary.weight.grad is not None


def test_pure_fp16_does_not_train() -> None:
    with pytest.raises(MeasureError, match="use --precision amp"):
        train.run(_row(precision="fp16"))
