"""What LRU and S5 share: a diagonal linear state space of complex numbers, stored as real pairs."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn

from recurra import ops
from recurra.cell import LinearCell

__all__ = ["StateSpace"]


class StateSpace(LinearCell):
    """h' = λ ⊙ h + s ⊙ B x and y = k Re(C h') + D x, where λ, s, B, C and h are complex and D is diagonal if I = H.

    `weight_in` (N, 2, I) is B, `weight_out` (H, N, 2) C, and `skip` D: (H,), or (H, I) where I is not H; the state
    is h (B, N, 2). A subclass writes `discrete`, makes its other parameters and draws all of them.
    """

    pairs = True
    share: float = 1.0  # k: 2 where each number stands for itself and its conjugate

    def __init__(self, input_size: int, hidden_size: int, state_size: int) -> None:
        super().__init__()
        if state_size < 1:
            raise ValueError(f"state_size must be at least 1, not {state_size}")
        self.input_size, self.output_size, self.state_size = input_size, hidden_size, state_size
        self.weight_in = nn.Parameter(torch.empty(state_size, 2, input_size))
        self.weight_out = nn.Parameter(torch.empty(hidden_size, state_size, 2))
        same = input_size == hidden_size
        self.skip = nn.Parameter(torch.empty(hidden_size) if same else torch.empty(hidden_size, input_size))

    def initial(self, batch_size: int, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Zeros."""
        return torch.zeros(batch_size, self.state_size, 2, device=device, dtype=dtype)

    @abstractmethod
    def discrete(self) -> tuple[Tensor, Tensor]:
        """λ (N, 2), and B (N, 2, I) with its scale."""

    def coefficients(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """λ, the same at every step, and the scaled B x."""
        decay, matrix = self.discrete()
        entering = ops.linear(z, matrix.flatten(0, 1))
        return decay, entering.reshape(*z.shape[:-1], self.state_size, 2)

    def readout(self, z: Tensor, h: Tensor) -> Tensor:
        """The real part of C h, and D x."""
        real, imaginary = self.weight_out.unbind(-1)
        read = ops.linear(h.flatten(-2), self.share * torch.stack([real, -imaginary], -1).flatten(1))
        return torch.addcmul(read, z, self.skip) if self.skip.dim() == 1 else read + ops.linear(z, self.skip)
