"""The simplified structured state space layer."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from recurra.cells._state_space import StateSpace
from recurra.ops.diagonal.reference import complex_product

__all__ = ["S5"]


class S5(StateSpace):
    """A continuous linear system, diagonal in complex numbers and made discrete with steps of a learned length.

        Λ̄ = exp(Λ Δ)        B̄ = Λ⁻¹ (Λ̄ - 1) B
        h' = Λ̄ ⊙ h + B̄ x    y = 2 Re(C h') + D x

    Smith et al. 2022 (arXiv 2208.04933), equations 1, 2 and 6 and section 3: Λ starts as the eigenvalues of the
    normal part of HiPPO-LegS. They come in conjugate pairs, of which one is kept: the state is h (B, N, 2), real
    parts and imaginary, for a system of size 2N. N is `state_size`, H/2 rounded up unless told otherwise.

    `log_decay` (N,) is log(-Re Λ), so that no step grows; `frequency` (N,) Im Λ; `log_step` (N,) log Δ;
    `weight_in` (N, 2, I) is B, `weight_out` (H, N, 2) C, `skip` D: (H,), or a matrix (H, I) where I is not H. Δ
    starts between `step_min` and `step_max`. Raises ValueError unless 0 < step_min < step_max.
    """

    share = 2.0

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        state_size: int | None = None,
        step_min: float = 0.001,
        step_max: float = 0.1,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(
            input_size, hidden_size, (hidden_size + 1) // 2 if state_size is None else state_size
        )
        if not 0.0 < step_min < step_max:
            raise ValueError(
                f"step_min and step_max must be 0 < step_min < step_max, not {step_min} and {step_max}"
            )
        self.step_min, self.step_max = step_min, step_max
        self.log_decay = nn.Parameter(torch.empty(self.state_size))
        self.frequency = nn.Parameter(torch.empty(self.state_size))
        self.log_step = nn.Parameter(torch.empty(self.state_size))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """HiPPO's eigenvalues; B from N(0, 1/I) and C from N(0, 1/2N) in its basis; log Δ uniform; D from N(0, 1)."""
        frequency, basis = _hippo(2 * self.state_size)
        inward = torch.randn(2 * self.state_size, self.input_size, generator=generator).to(basis)
        outward = torch.randn(self.output_size, 2 * self.state_size, generator=generator).to(basis)
        with torch.no_grad():
            self.log_decay.fill_(math.log(0.5))
            self.frequency.copy_(frequency)
            entering = torch.view_as_real(basis.mH @ inward).movedim(-1, 1)
            self.weight_in.copy_(entering * self.input_size**-0.5)
            leaving = torch.view_as_real(outward @ basis)
            self.weight_out.copy_(leaving * (2 * self.state_size) ** -0.5)
        low, high = math.log(self.step_min), math.log(self.step_max)
        nn.init.uniform_(self.log_step, low, high, generator=generator)
        scale = 1.0 if self.skip.dim() == 1 else self.input_size**-0.5
        nn.init.normal_(self.skip, std=scale, generator=generator)

    def discrete(self) -> tuple[Tensor, Tensor]:
        """Λ̄ and B̄."""
        real, step = -self.log_decay.exp(), self.log_step.exp()
        decay, angle = real * step, self.frequency * step
        growth, sine = decay.exp(), angle.sin()
        a = torch.stack([growth * angle.cos(), growth * sine], -1)
        # Λ̄ - 1 without the loss of digits where Δ is small.
        change = torch.stack(
            [decay.expm1() * angle.cos() - 2 * (angle / 2).sin().square(), growth * sine], -1
        )
        inverse = torch.stack([real, -self.frequency], -1) / (real**2 + self.frequency**2).unsqueeze(-1)
        scale = complex_product(change, inverse).unsqueeze(1)
        return a, complex_product(scale, self.weight_in.movedim(1, -1)).movedim(-1, 1)


def _hippo(size: int) -> tuple[Tensor, Tensor]:
    """Of HiPPO-LegS' normal part -½ + K, the eigenvalues' positive imaginary parts and their eigenvectors."""
    root = (2 * torch.arange(size, dtype=torch.float64) + 1).sqrt()
    skew = 0.5 * torch.outer(root, root)
    skew = skew.triu(1) - skew.tril(-1)
    values, vectors = torch.linalg.eigh(-1j * skew)
    return values[size // 2 :], vectors[:, size // 2 :]
