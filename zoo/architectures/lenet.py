"""LeNet-5: LeCun et al., Gradient-Based Learning Applied to Document Recognition, 1998, sect. II.B.

The common form, not the paper's to the letter: C3 sees all six maps of S2 (the paper's Table I
leaves some connections out), subsampling has no weights, and the output is linear in place of
radial basis functions. So 61,706 parameters, where the paper prints "about 60,000", and
416,520 MACs, where it prints 340,908 connections (each with its bias).
"""

import torch
from torch import Tensor, nn

SIDE = 32


class LeNet5(nn.Module):
    """Two convolutions with subsampling, then three layers that see everything."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(1, 6, kernel_size=5)
        self.c3 = nn.Conv2d(6, 16, kernel_size=5)
        self.c5 = nn.Conv2d(16, 120, kernel_size=5)
        self.f6 = nn.Linear(120, 84)
        self.output = nn.Linear(84, num_classes)
        self.subsample = nn.AvgPool2d(2)
        self.apply(_init_uniform)

    def forward(self, x: Tensor) -> Tensor:
        """Classify. x: (N, 1, 32, 32) -> (N, num_classes)."""
        if x.shape[1:] != (1, SIDE, SIDE):
            raise ValueError(f"LeNet-5 takes (N, 1, {SIDE}, {SIDE}), not {tuple(x.shape)}")
        x = self.subsample(torch.tanh(self.c1(x)))  # S2: (N, 6, 14, 14)
        x = self.subsample(torch.tanh(self.c3(x)))  # S4: (N, 16, 5, 5)
        x = torch.tanh(self.c5(x)).flatten(1)  # the kernel covers the map: (N, 120)
        return self.output(torch.tanh(self.f6(x)))


def _init_uniform(module: nn.Module) -> None:
    """Draw weights from U(-2.4 / fan-in, 2.4 / fan-in), as the paper's appendix A does."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        bound = 2.4 / module.weight[0].numel()
        nn.init.uniform_(module.weight, -bound, bound)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def lenet5(*, num_classes: int = 10) -> nn.Module:
    """Build LeNet-5. x: (N, 1, 32, 32) -> (N, num_classes)."""
    return LeNet5(num_classes)
