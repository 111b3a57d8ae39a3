"""Fixed work that is timed between steps, to tell the machine's speed from the network's.

A shared machine's cores change speed within seconds: neighbours, clocks and heat take up to half
of it. A step's length in units of the reference work that ran beside it changes far less.
"""

from collections.abc import Callable

import torch
from torch import nn

# Another number for other work: figures in units of different references are not comparable.
VERSION = 1
_IMAGES, _CHANNELS, _SIDE_PX = 4, 64, 28


def reference_work() -> Callable[[], None]:
    """Return the work of version ``VERSION``: a few milliseconds of what networks spend time on.

    It is a dense convolution, a block of point-wise and depth-wise ones, and several small
    operators, in fp32, channels last, with the threads that the process has. It is no part of any
    entry, and changes with torch alone.
    """
    network = _network().eval().to(memory_format=torch.channels_last)
    shape = (_IMAGES, _CHANNELS, _SIDE_PX, _SIDE_PX)
    batch = torch.full(shape, 0.5).contiguous(memory_format=torch.channels_last)

    def work() -> None:
        with torch.inference_mode(), torch.autocast("cpu", enabled=False):
            network(batch)

    work()  # the first call chooses kernels
    return work


def _network() -> nn.Module:
    wide = 3 * _CHANNELS
    small = [layer for _ in range(4) for layer in (_depthwise(_CHANNELS), nn.ReLU())]
    return nn.Sequential(
        nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1),
        nn.Conv2d(_CHANNELS, wide, 1),
        nn.Hardswish(),
        _depthwise(wide),
        nn.Conv2d(wide, _CHANNELS, 1),
        nn.AvgPool2d(4),
        *small,
    )


def _depthwise(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
