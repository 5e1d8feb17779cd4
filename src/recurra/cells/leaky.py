"""A leaky integrator over shifted inputs: the smallest cell that uses the window and the linear scan."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from recurra.cell import LinearCell

__all__ = ["LeakyIntegrator"]


class LeakyIntegrator(LinearCell):
    """An exponential moving average of inputs, each mixed with the one before; every unit learns its memory.

        p_t = W x_t + b                         z_t = (1 - μ) ⊙ p_t + μ ⊙ p_{t-1}       μ = σ(shift)
        h_t = a ⊙ h_{t-1} + (1 - a) ⊙ z_t       y_t = tanh(h_t)                         a = σ(decay)

    A toy. The average is the leaky integrator of Mozer 1992 ("Induction of multiscale temporal structure")
    without its recurrent matrix; the blend is the token shift of RWKV (Peng et al. 2023, arXiv 2305.13048).
    Its own state is h (B, H).
    """

    window = 1

    def __init__(
        self, input_size: int, hidden_size: int, *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.input_size, self.projected_size, self.output_size = input_size, hidden_size, hidden_size
        self.weight = nn.Parameter(torch.empty(hidden_size, input_size))
        self.bias = nn.Parameter(torch.empty(hidden_size))
        self.shift = nn.Parameter(torch.empty(hidden_size))
        self.decay = nn.Parameter(torch.empty(hidden_size))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw every parameter from U(-1/√H, 1/√H), then spread the memories from 2 to about 50 steps."""
        bound = self.output_size**-0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)
        with torch.no_grad():
            self.decay.copy_(torch.linspace(0.0, 4.0, self.output_size))

    def project(self, x: Tensor) -> Tensor:
        """The input as the units see it."""
        return linear(x, self.weight, self.bias)

    def mix(self, p: Tensor) -> Tensor:
        """Blend each row with the one before it."""
        return torch.lerp(p[:, 1:], p[:, :-1], self.shift.sigmoid())

    def coefficients(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The decay, the same at every step, and the share of the input."""
        a = self.decay.sigmoid()
        return a, (1 - a) * z

    def readout(self, z: Tensor, h: Tensor) -> Tensor:
        """The average, squashed."""
        return h.tanh()
