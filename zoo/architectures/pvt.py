"""Pyramid Vision Transformer (v1): Wang et al., arXiv:2102.12122, Table 1.

Published checkpoints name stage i's parts patch_embed<i>, pos_embed<i> and block<i>; here they are
stages.<i-1>.patch_embed, .pos_embed and .blocks, and their cls_token is stages.3.cls_token.
"""

import torch
from timm.layers import DropPath, Mlp, PatchEmbed, resample_abs_pos_embed, trunc_normal_
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.architectures._common import drop_path_rates, init_linear

DIMS = (64, 128, 320, 512)
HEADS = (1, 2, 5, 8)
MLP_RATIOS = (8, 8, 4, 4)
REDUCTIONS = (8, 4, 2, 1)
PATCHES = (4, 2, 2, 2)
GRIDS = (56, 28, 14, 7)  # the position embeddings' sides: those of a 224-pixel image

Size = tuple[int, int]


class SpatialReductionAttention(nn.Module):
    """Attention whose keys and values come from a map shrunk `reduction` times (sect. 3.3)."""

    def __init__(self, dim: int, heads: int, reduction: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)
        self.reduction = reduction
        if reduction > 1:
            self.sr = nn.Conv2d(dim, dim, kernel_size=reduction, stride=reduction)
            self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor, size: Size) -> Tensor:
        """Attend. x: (N, L, C), a map of `size` -> (N, L, C)."""
        k, v = self.kv(self._reduce(x, size)).chunk(2, dim=-1)
        q, k, v = map(self._split_heads, (self.q(x), k, v))
        x = F.scaled_dot_product_attention(q, k, v)
        return self.proj(x.transpose(1, 2).flatten(2))

    def _reduce(self, x: Tensor, size: Size) -> Tensor:
        """(N, H·W, C) -> (N, H/R · W/R, C)."""
        if self.reduction == 1:
            return x
        return self.norm(self.sr(_to_map(x, size)).flatten(2).transpose(1, 2))

    def _split_heads(self, x: Tensor) -> Tensor:
        """(N, L, C) -> (N, heads, L, C / heads)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class Block(nn.Module):
    """Attention and a two-layer perceptron, each after a norm and beside a shortcut."""

    def __init__(
        self, dim: int, *, heads: int, reduction: int, mlp_ratio: int, drop_path: float
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = SpatialReductionAttention(dim, heads, reduction)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim, mlp_ratio * dim)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, size: Size) -> Tensor:
        """Transform tokens. x: (N, L, C) -> (N, L, C)."""
        x = x + self.drop_path(self.attn(self.norm1(x), size))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class Stage(nn.Module):
    """Patch embedding, learned positions, blocks; the last stage also has the class token."""

    def __init__(self, index: int, drop_paths: list[float]) -> None:
        super().__init__()
        dim, side, last = DIMS[index], GRIDS[index], index == len(DIMS) - 1
        self.grid = (side, side)
        self.patch_embed = PatchEmbed(
            img_size=None,
            patch_size=PATCHES[index],
            in_chans=DIMS[index - 1] if index else 3,
            embed_dim=dim,
            norm_layer=nn.LayerNorm,
            output_fmt="NHWC",
        )
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim)) if last else None
        self.pos_embed = nn.Parameter(torch.zeros(1, side * side + last, dim))
        self.blocks = nn.ModuleList(
            Block(
                dim,
                heads=HEADS[index],
                reduction=REDUCTIONS[index],
                mlp_ratio=MLP_RATIOS[index],
                drop_path=drop_path,
            )
            for drop_path in drop_paths
        )

    def forward(self, x: Tensor) -> Tensor:
        """Embed and transform. (N, C, H, W) -> a map (N, C', H', W'), or tokens (N, L, C')."""
        x = self.patch_embed(x)
        size = (x.shape[1], x.shape[2])
        x = x.flatten(1, 2)
        if self.cls_token is not None:
            x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1)
        x = x + self._positions(size)
        for block in self.blocks:
            x = block(x, size)
        return _to_map(x, size) if self.cls_token is None else x

    def _positions(self, size: Size) -> Tensor:
        """Fit the learned positions to a map of `size`, bilinearly as for dense prediction."""
        return resample_abs_pos_embed(
            self.pos_embed,
            new_size=list(size),
            old_size=list(self.grid),
            num_prefix_tokens=int(self.cls_token is not None),
            interpolation="bilinear",
            antialias=False,
        )


class PyramidVisionTransformer(nn.Module):
    """Four stages that halve the map; the class token of the last one is classified."""

    def __init__(self, *, depths: list[int], drop_path: float, num_classes: int) -> None:
        super().__init__()
        rates = drop_path_rates(drop_path, depths)
        self.stages = nn.ModuleList(Stage(index, rates[index]) for index in range(len(depths)))
        self.norm = nn.LayerNorm(DIMS[-1], eps=1e-6)
        self.head = nn.Linear(DIMS[-1], num_classes)
        self.apply(init_linear)
        for name, parameter in self.named_parameters():
            if name.endswith(("pos_embed", "cls_token")):
                trunc_normal_(parameter, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Classify. x: (N, 3, H, W) -> (N, num_classes)."""
        for stage in self.stages:
            x = stage(x)
        return self.head(self.norm(x[:, 0]))


def _to_map(x: Tensor, size: Size) -> Tensor:
    """(N, H·W, C) -> (N, C, H, W)."""
    return x.transpose(1, 2).unflatten(2, size)


def pvt_small(*, num_classes: int = 1000) -> nn.Module:
    """Build PVT-Small. x: (N, 3, H, W) -> (N, num_classes)."""
    return PyramidVisionTransformer(depths=[3, 4, 6, 3], drop_path=0.1, num_classes=num_classes)


def pvt_medium(*, num_classes: int = 1000) -> nn.Module:
    """Build PVT-Medium. x: (N, 3, H, W) -> (N, num_classes)."""
    return PyramidVisionTransformer(depths=[3, 4, 18, 3], drop_path=0.3, num_classes=num_classes)


def pvt_large(*, num_classes: int = 1000) -> nn.Module:
    """Build PVT-Large. x: (N, 3, H, W) -> (N, num_classes)."""
    return PyramidVisionTransformer(depths=[3, 8, 27, 3], drop_path=0.3, num_classes=num_classes)
