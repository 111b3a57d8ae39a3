"""What the pyramids of this folder share: their initialisation and their stochastic depth."""

from collections.abc import Sequence

from timm.layers import trunc_normal_
from torch import nn


def init_linear(module: nn.Module) -> None:
    """Draw a linear layer's weight from a truncated normal (0.02); for `nn.Module.apply`."""
    if isinstance(module, nn.Linear):
        trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def drop_path_rates(last: float, depths: Sequence[int]) -> list[list[float]]:
    """Rise linearly from 0 in the first block to `last` in the last; one list a stage."""
    # Plain floats: under torch.device("meta") a torch.linspace would have no values.
    step = last / (sum(depths) - 1)
    starts = [sum(depths[:stage]) for stage in range(len(depths))]
    return [
        [step * (start + block) for block in range(depth)]
        for start, depth in zip(starts, depths, strict=True)
    ]
