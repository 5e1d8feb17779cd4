"""The gated recurrent unit."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recurra import ops
from recurra.cells._dense import DenseCell
from recurra.ops.dense.masks import Masks, check_rate
from recurra.ops.dense.reference import GRUWeights, gru_step

__all__ = ["GRU"]


class GRU(DenseCell):
    """Gated recurrent unit, the reset gate acting after the matrix product as in torch and cuDNN, or before.

        r = σ(W_r x + U_r h + b_r)      z = σ(W_z x + U_z h + b_z)
        n = tanh(W_n x + b_n + r ⊙ (U_n h + b_hn))      or      n = tanh(W_n x + b_n + U_n (r ⊙ h) + b_hn)
        h' = (1 - z) ⊙ n + z ⊙ h

    Cho et al. 2014 (arXiv 1406.1078), equations 5–8, where r multiplies h before U_n. The state is h (B, H).

    `weight_ih` (3H, I), `weight_hh` (3H, H), `bias` (3H,) stack the gates as torch does (r, z, n); its two
    biases count as their sum, but for `bias_hn` (H,), the recurrent bias of n.

    Parameters
    ----------
    reset_after: the first form of n (torch, cuDNN, Keras' default); else the second (Cho et al., ONNX's default).
    layer_norm: normalise what the input and what h add to the gates, with gains (Ba et al. 2016, arXiv 1607.06450).
    recurrent_dropout: share of n dropped in training, drawn at every step (Semeniuta et al. 2016, arXiv 1603.05118).
    zoneout: share of units that keep their value (Krueger et al. 2016, arXiv 1606.01305); else what is to be expected.

    Raises ValueError for a rate outside of 0 … 1.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        reset_after: bool = True,
        layer_norm: bool = False,
        recurrent_dropout: float = 0.0,
        zoneout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(3, input_size, hidden_size, hidden_size, layer_norm, recurrent_dropout)
        self.bias_hn = nn.Parameter(torch.empty(hidden_size))
        self.reset_after, self.zoneout = reset_after, check_rate("zoneout", zoneout)
        self.reset_parameters(generator)

    @property
    def weights(self) -> GRUWeights:
        """The parameters as `ops.gru` takes them."""
        return GRUWeights(self.weight_ih, self.weight_hh, self.bias, self.bias_hn, self.norms())

    def noise(self, batch_size: int, steps: int, generator: torch.Generator | None) -> Masks | None:
        """Masks of recurrent dropout and zoneout."""
        return self.draw(batch_size, steps, self.zoneout, 0.0, generator)

    def recur(self, z: Tensor, state: Tensor, noise: Masks | None = None) -> tuple[Tensor, Tensor]:
        """One step of the equations above."""
        h = gru_step(z, state, self.weights, self.reset_after, self.zoneout, noise)
        return h, h

    def sequence(
        self, x: Tensor, state: Tensor, lengths: Tensor | None = None, noise: Masks | None = None
    ) -> tuple[Tensor, Tensor]:
        """All steps through `ops.gru`."""
        noise = self._entering(x, state, noise)
        return ops.gru(
            x, state, self.weights, lengths, reset_after=self.reset_after, zoneout=self.zoneout, masks=noise
        )
