"""Focal Transformer: Yang et al., arXiv:2107.00641, sect. 3 and Table 1, two focal levels.

A window's queries attend to three sorts of keys at once: the window's own tokens, those of a ring
of three tokens around it, and coarse ones: pooled windows, in a square around it.

Where the authors' code differs from their paper, this follows the code, as their weights do:

- A ring is four windows shifted diagonally, whose corners overlap: 132 keys, of which 12 are
  there twice. The printed parameters include those (Focal-T: 28.880 M, or 28.827 M without,
  printed 28.9), the printed FLOPs do not: Focal-T 4.953 G, or 4.921 G without, printed 4.9;
  Focal-S 9.480 G, or 9.426 G, printed 9.4; Focal-B 16.436 G, or 16.364 G, printed 16.4.
- A shift goes around the map's edge, so the ring of a window there lies in part opposite.
- A coarse key's bias depends on the query's place in its window; in the paper it does not.

Published checkpoints keep what is here stages.<i>.patch_embed in patch_embed (i = 0) or
layers.<i-1>.downsample; attn.pool in pool_layers.0; and the biases in relative_position_bias_table
(own, transposed), ..._to_neighbors (ring, with a leading 1) and ..._to_windows.0 (coarse).
"""

import math
from itertools import product

import torch
from timm.layers import DropPath, Mlp, PatchEmbed, trunc_normal_
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.architectures._common import drop_path_rates, init_linear

SIDE = 224
WINDOW = 7
AREA = WINDOW * WINDOW
EXPAND = 3
FOCAL_WINDOWS = (7, 5, 3, 1)


class FocalSelfAttention(nn.Module):
    """Attention of each window to itself, its ring and the pooled windows around it (sect. 3.2)."""

    key_rows: Tensor
    off_map: Tensor
    own_index: Tensor
    coarse_index: Tensor

    def __init__(self, dim: int, *, heads: int, side: int, focal_window: int) -> None:
        super().__init__()
        self.heads = heads
        # A map of one window has no ring.
        expand = EXPAND if side > WINDOW else 0
        self.pool = nn.Linear(AREA, 1)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        # Relative position biases, one table a sort of key.
        self.own_bias = nn.Parameter(torch.zeros(heads, (2 * WINDOW - 1) ** 2))
        self.coarse_bias = nn.Parameter(torch.zeros(heads, (WINDOW + focal_window - 1) ** 2))
        ring = len(_ring(expand))
        self.ring_bias = nn.Parameter(torch.zeros(heads, AREA, ring)) if ring else None

        rows = torch.tensor(_key_rows(side, expand, focal_window))  # (windows, keys)
        self._constant("key_rows", rows.clamp(min=0))
        self._constant("off_map", rows < 0)
        self._constant("own_index", _relative_index(WINDOW))
        self._constant("coarse_index", _relative_index(focal_window))

    def forward(self, x: Tensor) -> Tensor:
        """Attend. x: (N, windows, 49, C) -> (N, windows, 49, C)."""
        fine = x.flatten(1, 2)
        coarse = self.pool(x.transpose(2, 3)).squeeze(-1)  # (N, windows, C)
        q, kv = self.qkv(torch.cat([fine, coarse], dim=1)).tensor_split([x.shape[-1]], dim=-1)
        q = q[:, : fine.shape[1]].unflatten(1, (-1, AREA))
        kv = kv.index_select(1, self.key_rows.flatten()).unflatten(1, self.key_rows.shape)
        k, v = kv.chunk(2, dim=-1)
        q, k, v = map(self._split_heads, (q, k, v))
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=self._bias())
        x = x.unflatten(1, (-1, self.heads)).transpose(2, 3).flatten(-2)
        return self.proj(x)

    def _bias(self) -> Tensor:
        """Biases of all windows and heads, -inf off the map: (1, windows · heads, 49, keys)."""
        own = self.own_bias[:, self.own_index]
        ring = [] if self.ring_bias is None else [self.ring_bias]
        coarse = self.coarse_bias[:, self.coarse_index]
        bias = torch.cat([own, *ring, coarse], dim=-1)  # (heads, 49, keys)
        off_map = self.off_map[:, None, None]  # (windows, 1, 1, keys)
        return bias.masked_fill(off_map, float("-inf")).flatten(0, 1)[None]

    def _split_heads(self, x: Tensor) -> Tensor:
        """(N, windows, L, C) -> (N, windows · heads, L, C / heads)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(2, 3).flatten(1, 2)

    def _constant(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value, persistent=False)


class Block(nn.Module):
    """Focal attention and a two-layer perceptron, each after a norm and beside a shortcut."""

    def __init__(
        self, dim: int, *, heads: int, side: int, focal_window: int, drop_path: float
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = FocalSelfAttention(dim, heads=heads, side=side, focal_window=focal_window)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, 4 * dim)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Transform windows. x: (N, windows, 49, C) -> (N, windows, 49, C)."""
        x = x + self.drop_path(self.attn(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class Stage(nn.Module):
    """Patch embedding, then blocks on a map cut into windows."""

    def __init__(
        self, dim: int, *, index: int, heads: int, side: int, drop_paths: list[float]
    ) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(
            img_size=None,
            patch_size=2 if index else 4,
            in_chans=dim // 2 if index else 3,
            embed_dim=dim,
            norm_layer=nn.LayerNorm,
            output_fmt="NHWC",
        )
        self.blocks = nn.Sequential(
            *(
                Block(
                    dim,
                    heads=heads,
                    side=side,
                    focal_window=FOCAL_WINDOWS[index],
                    drop_path=drop_path,
                )
                for drop_path in drop_paths
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """Embed and transform. x: (N, C, H, W) -> (N, C', H', W')."""
        windows = _to_windows(self.patch_embed(x))
        return _to_map(self.blocks(windows))


class FocalTransformer(nn.Module):
    """Four stages; the mean of the last one's tokens is classified."""

    def __init__(
        self, *, dim: int, depths: list[int], heads: int, drop_path: float, num_classes: int
    ) -> None:
        super().__init__()
        self.stages = nn.Sequential(
            *(
                Stage(
                    dim << index,
                    index=index,
                    heads=heads << index,
                    side=SIDE // 4 >> index,
                    drop_paths=drop_paths,
                )
                for index, drop_paths in enumerate(drop_path_rates(drop_path, depths))
            )
        )
        features = dim << (len(depths) - 1)
        self.norm = nn.LayerNorm(features)
        self.head = nn.Linear(features, num_classes)
        self.apply(init_linear)
        for name, parameter in self.named_parameters():
            if name.endswith(("own_bias", "ring_bias", "coarse_bias")):
                trunc_normal_(parameter, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Classify. x: (N, 3, 224, 224) -> (N, num_classes)."""
        # The windows of each stage, and which stages have a ring, follow from this size.
        if x.shape[1:] != (3, SIDE, SIDE):
            raise ValueError(
                f"the Focal Transformer takes (N, 3, {SIDE}, {SIDE}), not {tuple(x.shape)}"
            )
        x = self.stages(x).flatten(2).transpose(1, 2)  # (N, 49, 8 * dim)
        return self.head(self.norm(x).mean(dim=1))


def _to_windows(x: Tensor) -> Tensor:
    """(N, H, W, C) -> (N, windows, 49, C)."""
    x = x.unflatten(2, (-1, WINDOW)).unflatten(1, (-1, WINDOW))
    return x.transpose(2, 3).flatten(1, 2).flatten(2, 3)


def _to_map(x: Tensor) -> Tensor:
    """(N, windows, 49, C) -> (N, C, H, W), a square map."""
    windows = math.isqrt(x.shape[1])
    x = x.unflatten(2, (WINDOW, WINDOW)).unflatten(1, (windows, windows))
    return x.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)


def _ring(expand: int) -> list[tuple[int, int]]:
    """List the tokens around a window, corner by corner, relative to its first token."""
    inside = range(WINDOW)
    return [
        (row + down, column + right)
        for down, right in product((expand, -expand), repeat=2)
        for row, column in product(inside, repeat=2)
        if row + down not in inside or column + right not in inside
    ]


def _key_rows(side: int, expand: int, focal_window: int) -> list[list[int]]:
    """Number each window's keys as rows of [fine tokens, window by window; pooled windows].

    A pooled window off the map is -1; a ring's token off the map comes from the opposite edge.
    """
    windows = side // WINDOW
    reach = focal_window // 2
    fine = [*product(range(WINDOW), repeat=2), *_ring(expand)]
    coarse = list(product(range(-reach, reach + 1), repeat=2))

    def fine_row(y: int, x: int) -> int:
        (window_y, row), (window_x, column) = divmod(y % side, WINDOW), divmod(x % side, WINDOW)
        return (window_y * windows + window_x) * AREA + row * WINDOW + column

    def coarse_row(y: int, x: int) -> int:
        on_map = y in range(windows) and x in range(windows)
        return side * side + y * windows + x if on_map else -1

    return [
        [fine_row(top * WINDOW + y, left * WINDOW + x) for y, x in fine]
        + [coarse_row(top + y, left + x) for y, x in coarse]
        for top, left in product(range(windows), repeat=2)
    ]


def _relative_index(keys: int) -> Tensor:
    """Index the bias table of a window's queries and `keys` x `keys` keys: (49, keys²)."""
    offsets = torch.arange(WINDOW)[:, None] - torch.arange(keys) + keys - 1  # (7, keys)
    index = offsets[:, None, :, None] * (WINDOW + keys - 1) + offsets[:, None, :]
    return index.flatten(2).flatten(0, 1)


def focal_transformer_tiny(*, num_classes: int = 1000) -> nn.Module:
    """Build Focal-Tiny. x: (N, 3, 224, 224) -> (N, num_classes)."""
    return FocalTransformer(
        dim=96, depths=[2, 2, 6, 2], heads=3, drop_path=0.2, num_classes=num_classes
    )


def focal_transformer_small(*, num_classes: int = 1000) -> nn.Module:
    """Build Focal-Small. x: (N, 3, 224, 224) -> (N, num_classes)."""
    return FocalTransformer(
        dim=96, depths=[2, 2, 18, 2], heads=3, drop_path=0.3, num_classes=num_classes
    )


def focal_transformer_base(*, num_classes: int = 1000) -> nn.Module:
    """Build Focal-Base. x: (N, 3, 224, 224) -> (N, num_classes)."""
    return FocalTransformer(
        dim=128, depths=[2, 2, 18, 2], heads=4, drop_path=0.5, num_classes=num_classes
    )
