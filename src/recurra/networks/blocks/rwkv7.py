"""RWKV-7's layers: time mix and channel mix."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from recurra.cells.rwkv7 import RWKV7, LowRank, fitting_rank
from recurra.networks.blocks.common import Block, Lookback, Run

__all__ = ["RWKV7Block"]

Ranks = tuple[int, int, int, int]


class RWKV7Block(Block):
    """A time mix, then a channel mix, each normalized before and added to what came in; one or more such layers.

        x' = x + RWKV7(norm₁(x), v of the first layer)
        y = x' + W_v relu(W_k lerp(u_t, u_{t-1}, μ))², u = norm₂(x')

    Peng et al. 2025 (arXiv 2503.14456), sections 4.1 and 4.2, figure 1. From the second layer on, v = lerp(v, v of the
    first layer, σ(LoRA_v(x^v))), so layers that share it stand in one block. The state is, for each layer, the time
    mix's (`cells.RWKV7`; the first layer's v stands beside the last input) and the channel mix's last input.

    `heads` is each time mix's; `layers` how many there are; `expansion` how many times wider than `size` the channel
    mix is; `ranks` those of the LoRAs of w, a, g and v, as multiples of 4 about 1.8 √D, 1.8 √D, 0.6 D^0.8 and 1.3 √D
    unless told otherwise; `entry_norm` puts one more norm before the first layer, as in a model's first block.
    Raises ValueError where `heads` does not divide `size` or `layers` is below 1.
    """

    def __init__(
        self,
        size: int,
        *,
        heads: int = 1,
        layers: int = 1,
        expansion: float = 4.0,
        ranks: Ranks | None = None,
        entry_norm: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(size)
        if layers < 1:
            raise ValueError(f"layers must be at least 1, not {layers}")
        self.entry_norm = nn.LayerNorm(size) if entry_norm else None
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in range(layers))
        self.channel_norms = nn.ModuleList(nn.LayerNorm(size) for _ in range(layers))
        for number in range(layers):
            depth = number / layers
            kind = _LaterTimeMix if number else _FirstTimeMix
            self.add_module(f"time_mix{number}", kind(size, heads, ranks, depth, generator))
            self.add_module(
                f"channel_mix{number}", _ChannelMix(size, round(expansion * size), depth, generator)
            )

    def flow(self, x: Tensor, run: Run) -> Tensor:
        """The equations above, layer after layer."""
        x = x if self.entry_norm is None else self.entry_norm(x)
        cells = self._cells()
        first: Tensor | None = None
        for layer in zip(cells[::2], cells[1::2], self.norms, self.channel_norms, strict=True):
            time_mix, channel_mix, norm, channel_norm = layer
            u = norm(x) if first is None else torch.cat([norm(x), first], -1)
            y, v = run(time_mix, u).chunk(2, -1)
            first = v if first is None else first
            x = x + y
            x = x + run(channel_mix, channel_norm(x))
        return x


class _FirstTimeMix(RWKV7):
    """The first layer's: it gives y and, beside it, the v it wrote (…, 2D)."""

    def __init__(
        self,
        size: int,
        heads: int,
        ranks: Ranks | None,
        depth: float,
        generator: torch.Generator | None,
    ) -> None:
        super().__init__(
            size,
            size,
            heads=heads,
            ranks=None if ranks is None else ranks[:3],
            depth=depth,
            generator=generator,
        )
        self.output_size = 2 * size

    def readout(self, z: Tensor, o: Tensor) -> Tensor:
        """The output and v."""
        return torch.cat([super().readout(z, o), self._parts(z)[3].flatten(-2)], -1)


class _LaterTimeMix(_FirstTimeMix):
    """Another layer's: it takes x and, beside it, the first layer's v (…, 2D)."""

    def __init__(
        self,
        size: int,
        heads: int,
        ranks: Ranks | None,
        depth: float,
        generator: torch.Generator | None,
    ) -> None:
        super().__init__(size, heads, ranks, depth, generator)
        self.input_size = self.projected_size = 2 * size
        self.residual = LowRank(size, fitting_rank(1.3 * size**0.5) if ranks is None else ranks[3], size)
        self._draw_residual(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """As the first layer's; about two thirds of v is the first layer's."""
        super().reset_parameters(generator)
        self._draw_residual(generator)

    def _draw_residual(self, generator: torch.Generator | None) -> None:
        self.residual.reset_parameters(generator)
        if self.residual.bias is not None:
            nn.init.constant_(self.residual.bias, 0.73)

    def mix(self, p: Tensor) -> Tensor:
        """As the first layer's, v drawn towards the first layer's."""
        x, first = p.chunk(2, -1)
        before, v, after = torch.split(super().mix(x), [3 * x.shape[-1], x.shape[-1], 2 * x.shape[-1]], -1)
        share = self.residual(self.shifted(x, 3)).sigmoid()
        return torch.cat([before, torch.lerp(v, first[:, 1:], share), after], -1)


class _ChannelMix(Lookback):
    """Two matrices with a squared relu between, on inputs drawn towards the ones before."""

    window = 1

    def __init__(self, size: int, width: int, depth: float, generator: torch.Generator | None) -> None:
        super().__init__()
        self.input_size = self.projected_size = self.output_size = size
        self.shift = nn.Parameter(1 - (torch.arange(size) / size) ** (1 - depth) ** 4)
        self.key = nn.Parameter(torch.empty(width, size))
        self.value = nn.Parameter(torch.empty(size, width))
        for weight in (self.key, self.value):
            bound = 0.5 * weight.shape[1] ** -0.5
            nn.init.uniform_(weight, -bound, bound, generator=generator)

    def mix(self, p: Tensor) -> Tensor:
        """All of it."""
        shifted = torch.lerp(p[:, 1:], p[:, :-1], self.shift)
        return linear(linear(shifted, self.key).relu().square(), self.value)
