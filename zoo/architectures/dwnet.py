"""DW-Net: Han et al., arXiv:2106.04263, the depth-wise counterpart of Swin.

Swin's pyramid, where a 7x7 depth-wise convolution between two 1x1 ones stands in for windowed
attention.

The paper prints 3.8 G (T) and 12.9 G (B); the multiply-adds are 3.727 G and 12.812 G. Biases,
activations (one each) and norms (two) bring them to 3.758 G and 12.877 G, so its counter seems to
have included those.

Published checkpoints name the parts of `mixing` attn2conv.conv0, bn0, conv, bn, conv2 and bn2, a
block's `norm` bn, and block j of stages.<i> layers.<i>.blocks.<j>; the patch merging that opens
stages.<i> here closes layers.<i-1> there, as downsample.
"""

from timm.layers import DropPath, Mlp, PatchEmbed
from timm.models.swin_transformer import PatchMerging
from torch import Tensor, nn

from zoo.architectures._common import drop_path_rates, init_linear

WINDOW = 7


class DepthwiseMixing(nn.Sequential):
    """Linear, depth-wise 7x7, linear, each with its batch norm. (N, C, H, W) -> same."""

    def __init__(self, dim: int) -> None:
        super().__init__(
            nn.Conv2d(dim, dim, kernel_size=1, bias=False),
            nn.BatchNorm2d(dim),
            nn.ReLU(inplace=True),
            nn.Conv2d(dim, dim, kernel_size=WINDOW, padding=WINDOW // 2, groups=dim),
            nn.BatchNorm2d(dim),
            nn.ReLU(inplace=True),
            nn.Conv2d(dim, dim, kernel_size=1, bias=False),
            nn.BatchNorm2d(dim),
        )


class Block(nn.Module):
    """Depth-wise mixing in space, then a two-layer perceptron in channels, with shortcuts."""

    def __init__(self, dim: int, drop_path: float) -> None:
        super().__init__()
        self.mixing = DepthwiseMixing(dim)  # its own batch norms: none goes before it
        self.norm = nn.BatchNorm2d(dim)
        self.mlp = Mlp(dim, 4 * dim)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Transform a map. x: (N, H, W, C) -> (N, H, W, C)."""
        x = x + self.drop_path(_channels_last(self.mixing(_channels_first(x))))
        return x + self.drop_path(self.mlp(_channels_last(self.norm(_channels_first(x)))))


class DWNet(nn.Module):
    """Four stages; between two of them, patch merging halves the map and doubles the channels."""

    def __init__(self, *, dim: int, depths: list[int], drop_path: float, num_classes: int) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(
            img_size=None,
            patch_size=4,
            embed_dim=dim,
            norm_layer=nn.LayerNorm,
            output_fmt="NHWC",
        )
        self.stages = nn.Sequential()
        for index, rates in enumerate(drop_path_rates(drop_path, depths)):
            merging = [PatchMerging(dim << (index - 1))] if index else []
            blocks = [Block(dim << index, rate) for rate in rates]
            self.stages.append(nn.Sequential(*merging, *blocks))
        features = dim << (len(depths) - 1)
        self.norm = nn.LayerNorm(features)
        self.head = nn.Linear(features, num_classes)
        self.apply(init_linear)

    def forward(self, x: Tensor) -> Tensor:
        """Classify. x: (N, 3, H, W) -> (N, num_classes)."""
        x = self.stages(self.patch_embed(x))  # (N, H / 32, W / 32, 8 * dim)
        return self.head(self.norm(x).mean(dim=(1, 2)))


def _channels_first(x: Tensor) -> Tensor:
    return x.permute(0, 3, 1, 2)


def _channels_last(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1)


def dwnet_tiny(*, num_classes: int = 1000) -> nn.Module:
    """Build DW-Net-T. x: (N, 3, H, W) -> (N, num_classes)."""
    return DWNet(dim=96, depths=[2, 2, 6, 2], drop_path=0.2, num_classes=num_classes)


def dwnet_base(*, num_classes: int = 1000) -> nn.Module:
    """Build DW-Net-B. x: (N, 3, H, W) -> (N, num_classes)."""
    return DWNet(dim=128, depths=[2, 2, 18, 2], drop_path=0.5, num_classes=num_classes)
