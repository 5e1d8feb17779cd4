"""The quasi-recurrent neural network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recurra import ops
from recurra.cell import GatedCell
from recurra.ops.random import keep_mask

__all__ = ["QRNN"]


class QRNN(GatedCell):
    """A quasi-recurrent layer: convolutions over the last inputs make the gates, fo-pooling carries the memory.

        z = tanh(W_z ∗ x)       f = σ(W_f ∗ x)      o = σ(W_o ∗ x)
        c' = f ⊙ c + (1 - f) ⊙ z        h = o ⊙ c'

    Bradbury et al. 2016 (arXiv 1611.01576), equations 1 and 4, here with biases. The cell's own state is c
    (B, H); beside it the last kernel - 1 inputs.

    `kernel` is the convolution's steps, the present one included. `zoneout` is the share of units whose c stays as
    it was, drawn at each step in training (section 2.1).
    `weight` (3H, kernel, I), the present step's tap first, and `bias` (3H,) stack z, f and o.
    Raises ValueError for a kernel under 1 or a zoneout outside 0 … 1 exclusive.
    """

    gates = "qrnn"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        kernel: int = 2,
        zoneout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if kernel < 1:
            raise ValueError(f"kernel must be at least 1, not {kernel}")
        if not 0.0 <= zoneout < 1.0:
            raise ValueError(f"zoneout must lie in 0 … 1 exclusive, not {zoneout}")
        self.input_size = self.projected_size = input_size
        self.output_size, self.window, self.zoneout = hidden_size, kernel - 1, zoneout
        self.weight = nn.Parameter(torch.empty(3 * hidden_size, kernel, input_size))
        self.bias = nn.Parameter(torch.empty(3 * hidden_size))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw every parameter from U(-1/√(kernel I), 1/√(kernel I))."""
        bound = (self.weight.shape[1] * self.input_size) ** -0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def mix(self, p: Tensor) -> Tensor:
        """The convolutions."""
        steps = p.shape[1] - self.window
        taps = [p[:, self.window - back :][:, :steps] for back in range(self.window + 1)]
        return ops.linear(torch.cat(taps, -1), self.weight.flatten(1), self.bias)

    def noise(self, batch_size: int, steps: int, generator: torch.Generator | None) -> Tensor | None:
        """Zeros where zoneout keeps a unit's memory as it was."""
        if self.zoneout == 0.0:
            return None
        return keep_mask((batch_size, steps, self.output_size), 1 - self.zoneout, self.bias, generator)
