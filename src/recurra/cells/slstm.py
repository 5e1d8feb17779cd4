"""The scalar long short-term memory of xLSTM."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from recurra import ops
from recurra.cell import Cell
from recurra.ops.dense.heads import units_of_a_head
from recurra.ops.dense.slstm import SLSTMWeights, slstm_step

__all__ = ["SLSTM", "SLSTMState"]


class SLSTMState(NamedTuple):
    """The output h, the memory c, its normalizer n and the stabilizer m, all (B, H)."""

    h: Tensor
    c: Tensor
    n: Tensor
    m: Tensor


class SLSTM(Cell):
    """A long short-term memory with an exponential input gate, a normalizer, and heads that do not see one another.

        ĩ, f̃, z̃, õ = W x + R h + b
        m' = max(log σ(f̃) + m, ĩ)           i = exp(ĩ - m')         f = exp(log σ(f̃) + m - m')
        c' = f ⊙ c + i ⊙ tanh(z̃)            n' = f ⊙ n + i          h' = σ(õ) ⊙ c' / n'

    Beck et al. 2024 (arXiv 2405.04517), equations 8–17, the forget gate a sigmoid as in their package. The
    stabilizer m changes no output; at first it is the lowest number, so that m' = ĩ after one step, as there.

    `weight_ih` (4H, I) and `bias` (4H,) stack the gates i, f, z, o; `weight_hh` (4, heads, H/heads, H/heads) holds
    R, which has a block for each head. With `project_input=False` there is no W: x is added to the gates as it is,
    and I is 4H. Raises ValueError where `heads` does not divide H.
    """

    weight_ih: nn.Parameter | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        heads: int = 1,
        project_input: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if not project_input and input_size != 4 * hidden_size:
            raise ValueError(f"without a projection, {4 * hidden_size} inputs go in, not {input_size}")
        self.input_size, self.output_size = input_size, hidden_size
        block = units_of_a_head(hidden_size, heads)
        self.weight_ih = nn.Parameter(torch.empty(4 * hidden_size, input_size)) if project_input else None
        self.weight_hh = nn.Parameter(torch.empty(4, heads, block, block))
        self.bias = nn.Parameter(torch.empty(4 * hidden_size))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw W from N(0, 2/(5I)) and R from U(-1/√H, 1/√H); f's bias falls from 5 to -7 over a head, the rest is 0.

        The bias is the package's: its units remember from one step to about 150.
        """
        if self.weight_ih is not None:
            nn.init.normal_(self.weight_ih, std=(2 / (5 * self.input_size)) ** 0.5, generator=generator)
        bound = self.output_size**-0.5
        nn.init.uniform_(self.weight_hh, -bound, bound, generator=generator)
        block = self.weight_hh.shape[-1]
        nn.init.zeros_(self.bias)
        with torch.no_grad():
            falling = 5.0 - 12.0 * (torch.arange(block) / max(block - 1, 1)) ** 0.3
            self.bias.view(4, -1, block)[1] = falling

    @property
    def weights(self) -> SLSTMWeights:
        """The parameters as `ops.slstm` takes them."""
        return SLSTMWeights(self.weight_ih, self.weight_hh, self.bias)

    def initial(self, batch_size: int, device: torch.device, dtype: torch.dtype) -> SLSTMState:
        """Zeros; for m the lowest number there is, halved so that a gate can be added."""
        zeros = torch.zeros(batch_size, self.output_size, device=device, dtype=dtype)
        return SLSTMState(
            zeros, zeros.clone(), zeros.clone(), torch.full_like(zeros, torch.finfo(dtype).min / 2)
        )

    def project(self, x: Tensor) -> Tensor:
        """What the input adds to the four gates."""
        return self.weights.enter(x)

    def recur(self, z: Tensor, state: SLSTMState, noise: Any = None) -> tuple[Tensor, SLSTMState]:
        """One step of the equations above."""
        after = SLSTMState(*slstm_step(z, *state, self.weight_hh))
        return after.h, after

    def sequence(
        self, x: Tensor, state: SLSTMState, lengths: Tensor | None = None, noise: Any = None
    ) -> tuple[Tensor, SLSTMState]:
        """All steps through `ops.slstm`."""
        self._entering(x, state, noise)
        y, *after = ops.slstm(x, *state, self.weights, lengths)
        return y, SLSTMState(*after)
