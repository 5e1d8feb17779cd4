"""The linear recurrent unit."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from recurra.cells._state_space import StateSpace

__all__ = ["LRU"]


class LRU(StateSpace):
    """A diagonal linear recurrence of complex numbers that cannot grow, read out as real numbers.

        λ = exp(-exp(ν) + i exp(θ))     h' = λ ⊙ h + exp(γ) ⊙ B x       y = Re(C h') + D x

    Orvieto et al. 2023 (arXiv 2303.06349), sections 3.2–3.4 and appendix A. At first |λ|² is uniform between r_min²
    and r_max², λ's angle between 0 and max_phase, and exp(γ) = √(1 - |λ|²). The state is h (B, N, 2), real parts
    and imaginary; N is `state_size`, H unless told otherwise.

    `log_decay`, `log_phase`, `log_scale` (N,) are ν, θ, γ; `weight_in` (N, 2, I) is B, `weight_out` (H, N, 2) C,
    `skip` D: (H,), or a matrix (H, I) where I is not H. Raises ValueError unless 0 ≤ r_min < r_max ≤ 1 and
    max_phase > 0.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        state_size: int | None = None,
        r_min: float = 0.0,
        r_max: float = 1.0,
        max_phase: float = 2 * math.pi,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, hidden_size if state_size is None else state_size)
        if not 0.0 <= r_min < r_max <= 1.0:
            raise ValueError(f"r_min and r_max must be 0 ≤ r_min < r_max ≤ 1, not {r_min} and {r_max}")
        if max_phase <= 0.0:
            raise ValueError(f"max_phase must be above 0, not {max_phase}")
        self.r_min, self.r_max, self.max_phase = r_min, r_max, max_phase
        self.log_decay = nn.Parameter(torch.empty(self.state_size))
        self.log_phase = nn.Parameter(torch.empty(self.state_size))
        self.log_scale = nn.Parameter(torch.empty(self.state_size))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw λ on its ring, and B, C and D from N(0, 1/(2I)), N(0, 1/N) and N(0, 1), D as a matrix N(0, 1/I)."""
        with torch.no_grad():
            # Away from 0 and 1, whose logarithms have no logarithm.
            square, turn = torch.rand(2, self.state_size, generator=generator).clamp(1e-5, 1 - 1e-5)
            square = square * (self.r_max**2 - self.r_min**2) + self.r_min**2
            self.log_decay.copy_((-0.5 * square.log()).log())
            self.log_phase.copy_((self.max_phase * turn).log())
            self.log_scale.copy_(0.5 * torch.log1p(-square))
        nn.init.normal_(self.weight_in, std=(2 * self.input_size) ** -0.5, generator=generator)
        nn.init.normal_(self.weight_out, std=self.state_size**-0.5, generator=generator)
        scale = 1.0 if self.skip.dim() == 1 else self.input_size**-0.5
        nn.init.normal_(self.skip, std=scale, generator=generator)

    def discrete(self) -> tuple[Tensor, Tensor]:
        """λ and exp(γ) B."""
        radius, angle = (-self.log_decay.exp()).exp(), self.log_phase.exp()
        decay = torch.stack([radius * angle.cos(), radius * angle.sin()], -1)
        return decay, self.log_scale.exp().reshape(-1, 1, 1) * self.weight_in
