"""The simple recurrent network."""

from __future__ import annotations

import torch
from torch import Tensor

from recurra import ops
from recurra.cells._dense import DenseCell
from recurra.ops.dense.masks import Masks, check_rate
from recurra.ops.dense.reference import RNNWeights, rnn_step

__all__ = ["Elman"]


class Elman(DenseCell):
    """Simple recurrent network: a neuron sees the input and what all neurons said last.

        h' = φ(W x + U h + b)      φ = tanh or relu

    Elman 1990 ("Finding structure in time"). The state is h (B, H).

    `weight_ih` (H, I), `weight_hh` (H, H), `bias` (H,).

    Parameters
    ----------
    nonlinearity: "tanh" or "relu".
    layer_norm: normalise W x and U h, each with a gain (Ba et al. 2016, arXiv 1607.06450, equation 4).
    recurrent_dropout: share of h that is dropped on its way into U, drawn at every step in training.
    zoneout: share of units that keep their value (Krueger et al. 2016, arXiv 1606.01305); else what is to be expected.

    Raises ValueError for another nonlinearity or a rate outside of 0 … 1.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        nonlinearity: str = "tanh",
        layer_norm: bool = False,
        recurrent_dropout: float = 0.0,
        zoneout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(1, input_size, hidden_size, hidden_size, layer_norm, recurrent_dropout)
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"nonlinearity must be 'tanh' or 'relu', not {nonlinearity!r}")
        self.nonlinearity, self.zoneout = nonlinearity, check_rate("zoneout", zoneout)
        self.reset_parameters(generator)

    @property
    def weights(self) -> RNNWeights:
        """The parameters as `ops.rnn` takes them."""
        return RNNWeights(self.weight_ih, self.weight_hh, self.bias, self.norms())

    def noise(self, batch_size: int, steps: int, generator: torch.Generator | None) -> Masks | None:
        """Masks of recurrent dropout and zoneout."""
        return self.draw(batch_size, steps, self.zoneout, 0.0, generator)

    def recur(self, z: Tensor, state: Tensor, noise: Masks | None = None) -> tuple[Tensor, Tensor]:
        """One step of the equation above."""
        h = rnn_step(z, state, self.weights, self.nonlinearity, self.zoneout, noise)
        return h, h

    def sequence(
        self, x: Tensor, state: Tensor, lengths: Tensor | None = None, noise: Masks | None = None
    ) -> tuple[Tensor, Tensor]:
        """All steps through `ops.rnn`."""
        noise = self._entering(x, state, noise)
        return ops.rnn(
            x, state, self.weights, lengths, nonlinearity=self.nonlinearity, zoneout=self.zoneout, masks=noise
        )
