"""The long short-term memory."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from recurra import ops
from recurra.cells._dense import DenseCell
from recurra.ops.dense.masks import Masks, check_rate
from recurra.ops.dense.reference import LSTMWeights, lstm_step

__all__ = ["LSTM", "LSTMState"]


class LSTMState(NamedTuple):
    """The output h (B, R) and the memory c (B, H)."""

    h: Tensor
    c: Tensor


class LSTM(DenseCell):
    """Long short-term memory.

        i = σ(W_i x + U_i h + b_i)      f = σ(W_f x + U_f h + b_f)
        g = tanh(W_g x + U_g h + b_g)   o = σ(W_o x + U_o h + b_o)
        c' = f ⊙ c + i ⊙ g              h' = o ⊙ tanh(c')

    Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000: Graves 2013 (arXiv 1308.0850),
    equations 7–11. The state is h (B, R) and c (B, H); R is H unless there is a projection.

    `weight_ih` (4H, I), `weight_hh` (4H, R), `bias` (4H,) stack the gates as torch does (i, f, g, o); its two
    biases count as their sum. Where gates are coupled there are three (f, g, o).

    Parameters
    ----------
    projection_size: R, to which h is shortened by `weight_hr` (R, H) (Sak et al. 2014, arXiv 1402.1128); 0: not at all.
    peephole: i and f see c, o sees c', through `weight_peephole` (3, H) (Gers & Schmidhuber 2000).
    coupled: i = 1 - f (Greff et al. 2015, arXiv 1503.04069, section III).
    layer_norm: normalise what the input and what h add to the gates, and c' on its way out (Ba et al. 2016,
        arXiv 1607.06450, equations 20–22).
    mogrifier: rounds in which x and h scale each other first (Melis et al. 2020, arXiv 1909.01792, equations 1–2); the
        extension does not know it, so it runs step by step in torch.
    recurrent_dropout: share of g dropped in training, drawn at every step (Semeniuta et al. 2016, arXiv 1603.05118).
    zoneout: share of units that keep their value, of h and of c (Krueger et al. 2016, arXiv 1606.01305); else what is
        to be expected.
    forget_bias: where the forget gate's bias starts (1: Jozefowicz et al. 2015).

    Raises ValueError for a rate outside of 0 … 1 or a size below 0.
    """

    norm_c: Tensor | None
    norm_c_bias: Tensor | None
    weight_hr: Tensor | None
    weight_peephole: Tensor | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        projection_size: int = 0,
        peephole: bool = False,
        coupled: bool = False,
        layer_norm: bool = False,
        mogrifier: int = 0,
        recurrent_dropout: float = 0.0,
        zoneout: tuple[float, float] = (0.0, 0.0),
        forget_bias: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        if projection_size < 0 or mogrifier < 0:
            raise ValueError(
                f"projection_size and mogrifier must be 0 or more, not {projection_size} and {mogrifier}"
            )
        blocks, recurrent_size = 3 if coupled else 4, projection_size or hidden_size
        super().__init__(blocks, input_size, hidden_size, recurrent_size, layer_norm, recurrent_dropout)
        self.coupled, self.forget_bias = coupled, forget_bias
        self.zoneout = check_rate("zoneout", zoneout[0]), check_rate("zoneout", zoneout[1])
        self.optional("norm_c", (hidden_size,) if layer_norm else None)
        self.optional("norm_c_bias", (hidden_size,) if layer_norm else None)
        self.optional("weight_hr", (recurrent_size, hidden_size) if projection_size else None)
        self.optional("weight_peephole", (blocks - 1, hidden_size) if peephole else None)
        shapes = [(input_size, recurrent_size), (recurrent_size, input_size)] * (mogrifier // 2 + 1)
        self.mogrifier = nn.ParameterList(nn.Parameter(torch.empty(shape)) for shape in shapes[:mogrifier])
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw every parameter from U(-1/√H, 1/√H); gains are 1, the forget gate's bias is `forget_bias`."""
        super().reset_parameters(generator)
        first = 0 if self.coupled else self.hidden_size
        with torch.no_grad():
            self.bias[first : first + self.hidden_size] = self.forget_bias

    @property
    def weights(self) -> LSTMWeights:
        """The parameters as `ops.lstm` takes them."""
        return LSTMWeights(
            self.weight_ih,
            self.weight_hh,
            self.bias,
            self.weight_hr,
            self.weight_peephole,
            self.norms(self.norm_c, self.norm_c_bias),
            tuple(self.mogrifier),
        )

    def initial(self, batch_size: int, device: torch.device, dtype: torch.dtype) -> LSTMState:
        """Zeros."""
        h = super().initial(batch_size, device, dtype)
        return LSTMState(h, h.new_zeros(batch_size, self.hidden_size))

    def noise(self, batch_size: int, steps: int, generator: torch.Generator | None) -> Masks | None:
        """Masks of recurrent dropout and zoneout."""
        return self.draw(batch_size, steps, *self.zoneout, generator)

    def project(self, x: Tensor) -> Tensor:
        """What the input adds to the four gates; the input itself where h scales it first."""
        return x if len(self.mogrifier) else super().project(x)

    def recur(self, z: Tensor, state: LSTMState, noise: Masks | None = None) -> tuple[Tensor, LSTMState]:
        """One step of the equations above."""
        h, c = lstm_step(z, *state, self.weights, self.zoneout, noise)
        return h, LSTMState(h, c)

    def sequence(
        self, x: Tensor, state: LSTMState, lengths: Tensor | None = None, noise: Masks | None = None
    ) -> tuple[Tensor, LSTMState]:
        """All steps through `ops.lstm`."""
        noise = self._entering(x, state, noise)
        y, h, c = ops.lstm(x, *state, self.weights, lengths, zoneout=self.zoneout, masks=noise)
        return y, LSTMState(h, c)
