"""Images/s of training: forward, backward and optimiser step on random images and labels."""

import torch
from torch import Tensor, nn

from bench.measure import Result, Row
from bench.measure.execution import Execution
from bench.measure.memory import PeakMemory
from bench.measure.speed import budget_for, explaining, random_network, time_parts
from bench.measure.timing import clock_for
from bench.records import Training
from zoo.errors import MeasureError

OPTIMIZER = "SGD, momentum 0.9"


def run(row: Row) -> Result:
    """Time training steps in the row's precision. The weights are random, and no use afterwards.

    Raises:
        MeasureError: out of memory at this batch, a step fails, or the precision cannot train.
    """
    torch.backends.cudnn.benchmark = True
    execution = training_execution(row)
    memory = PeakMemory(execution.device)
    with explaining(row.batch_size, execution):
        step = TrainingStep(execution, execution.noise(row.batch_size, row.preprocess))
    parts = (step.forward, step.backward, step.optimize)
    found = time_parts(
        row,
        execution,
        parts,
        memory,
        batch_size=row.batch_size,
        clock=clock_for(execution.device),
        budget=budget_for(row, execution),
        with_reference=execution.device.type == "cpu",
    )
    forward_s, backward_s, optimizer_s = found.parts_s
    return Result(
        Training(
            **dict(found.timed),
            optimizer=OPTIMIZER,
            forward_s=forward_s,
            backward_s=backward_s,
            optimizer_s=optimizer_s,
        )
    )


def training_execution(row: Row) -> Execution:
    """Return the row's network in training mode.

    Raises:
        MeasureError: the precision cannot train.
    """
    if row.job.settings.precision == "fp16":
        raise MeasureError(
            "no training in pure fp16: its small gradients and updates become zero; "
            "use --precision amp"
        )
    return Execution(random_network(row).train(), row.job.settings, row.device)


class TrainingStep:
    """The parts of one step on one batch: cross-entropy, and SGD with momentum.

    Under ``amp`` on CUDA the loss is scaled, as fp16 gradients need; bf16 needs no scale.

    Args:
        execution: the network, in training mode.
        batch: (N, C, H, W) on its device.
    """

    def __init__(self, execution: Execution, batch: Tensor) -> None:
        self._execution = execution
        self._batch = batch
        # Small, so that random labels do not drive the weights to infinity.
        self._optimizer = torch.optim.SGD(execution.network.parameters(), lr=1e-3, momentum=0.9)
        device = execution.device.type
        scales = execution.autocast_dtype == torch.float16
        self._scaler = torch.amp.GradScaler(device, enabled=scales)
        self._labels: Tensor | None = None

    def forward(self) -> None:
        """Compute the loss: of all outputs together, where training has auxiliary heads."""
        with self._execution.autocast():
            outputs = self._execution.network(self._batch)
            heads = (
                [outputs] if isinstance(outputs, Tensor) else [o for o in outputs if o is not None]
            )
            losses = [nn.functional.cross_entropy(head, self._labels_for(head)) for head in heads]
            self.loss = torch.stack(losses).sum()

    def _labels_for(self, logits: Tensor) -> Tensor:
        """Return random labels (N,), the same in every step."""
        if self._labels is None:
            generator = torch.Generator().manual_seed(0)
            labels = torch.randint(logits.shape[1], (len(logits),), generator=generator)
            self._labels = labels.to(logits.device)
        return self._labels

    def backward(self) -> None:
        """Compute the gradients."""
        self._scaler.scale(self.loss).backward()

    def optimize(self) -> None:
        """Update the weights, and forget the gradients."""
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad(set_to_none=True)
