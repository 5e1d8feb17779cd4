"""Drop-ins for torch.nn.RNN, LSTM and GRU.

Legend: B rows, T steps, I inputs, H units, R recurrent units (H, or `proj_size`), L layers, D directions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from recurra import ops
from recurra.nn.base import Input, Layers
from recurra.nn.weights import gru_weights, lstm_weights, rnn_weights
from recurra.ops import Masks

__all__ = ["GRU", "LSTM", "RNN"]


class _OneState(Layers):
    """A layer whose state is h alone."""

    def forward(
        self,
        input: Input,
        hx: Tensor | None = None,
        *,
        lengths: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Input, Tensor]:
        """From input and h (L·D, B, H), zeros if None, the outputs (…, D·H) and the last h.

        Input is (T, B, I), (B, T, I) with `batch_first`, (T, I) unbatched, or a PackedSequence, and so are the
        outputs. `lengths` (B,) are in 0 … T: past its length a row's outputs are zero, its h stays, its input is not
        read. `generator`, a CPU generator, draws all masks in training. Raises ValueError or TypeError for misfits.
        """
        y, (h,) = self._outer(input, None if hx is None else (hx,), lengths, generator)
        return y, h


class RNN(_OneState):
    """Elman network in torch.nn.RNN's place: its arguments, parameters, shapes and numbers.

        h' = φ(W_ih x + b_ih + W_hh h + b_hh)      φ = tanh or relu (Elman 1990)

    Beyond torch's arguments, all by keyword:

    layer_norm: normalise W_ih x and W_hh h, each with a gain (Ba et al. 2016, arXiv 1607.06450, equation 4).
    recurrent_dropout: share of h that is dropped on its way into W_hh, drawn at every step in training.
    zoneout: share of units that keep their value (Krueger et al. 2016, arXiv 1606.01305); else what is to be expected.
    generator: draws the parameters; None: torch's default.

    Raises ValueError or TypeError for arguments out of range.
    """

    blocks = 1
    zoneout: float

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        layer_norm: bool = False,
        recurrent_dropout: float = 0.0,
        zoneout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"nonlinearity must be 'tanh' or 'relu', not {nonlinearity!r}")
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device,
            dtype,
            layer_norm,
            recurrent_dropout,
            zoneout,
            generator,
        )
        self.nonlinearity = nonlinearity

    def _direction(
        self,
        x: Tensor,
        state: tuple[Tensor, ...],
        suffix: str,
        lengths: Tensor | None,
        reverse: bool,
        masks: Masks | None,
    ) -> ops.Layer:
        weights = rnn_weights(*self._matrices(suffix), self._norms(suffix))
        options = self.nonlinearity, self.zoneout, masks
        return ops.Layer("rnn", x, state, weights, lengths, reverse, options)


class GRU(_OneState):
    """Gated recurrent unit in torch.nn.GRU's place: its arguments, parameters, shapes and numbers.

        r = σ(W_ir x + b_ir + W_hr h + b_hr)      z = σ(W_iz x + b_iz + W_hz h + b_hz)
        n = tanh(W_in x + b_in + r ⊙ (W_hn h + b_hn))      h' = (1 - z) ⊙ n + z ⊙ h

    Cho et al. 2014 (arXiv 1406.1078), equations 5–8. Beyond torch's arguments, all by keyword:

    reset_after: n as above (torch, Keras' default); else, as in the paper, tanh(W_in x + b_in + W_hn (r ⊙ h) + b_hn).
    layer_norm: normalise what the input and what h add to the gates, with gains (Ba et al. 2016, arXiv 1607.06450).
    recurrent_dropout: share of n dropped in training, drawn at every step (Semeniuta et al. 2016, arXiv 1603.05118).
    zoneout: share of units that keep their value (Krueger et al. 2016, arXiv 1606.01305); else what is to be expected.
    generator: draws the parameters; None: torch's default.

    Raises ValueError or TypeError for arguments out of range.
    """

    blocks = 3
    zoneout: float

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        reset_after: bool = True,
        layer_norm: bool = False,
        recurrent_dropout: float = 0.0,
        zoneout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device,
            dtype,
            layer_norm,
            recurrent_dropout,
            zoneout,
            generator,
        )
        self.reset_after = reset_after

    def _direction(
        self,
        x: Tensor,
        state: tuple[Tensor, ...],
        suffix: str,
        lengths: Tensor | None,
        reverse: bool,
        masks: Masks | None,
    ) -> ops.Layer:
        weights = gru_weights(*self._matrices(suffix), self._norms(suffix))
        options = self.reset_after, self.zoneout, masks
        return ops.Layer("gru", x, state, weights, lengths, reverse, options)


class LSTM(Layers):
    """Long short-term memory in torch.nn.LSTM's place: its arguments, parameters, shapes and numbers.

        i = σ(W_ii x + b_ii + W_hi h + b_hi)      f = σ(W_if x + b_if + W_hf h + b_hf)
        g = tanh(W_ig x + b_ig + W_hg h + b_hg)   o = σ(W_io x + b_io + W_ho h + b_ho)
        c' = f ⊙ c + i ⊙ g                        h' = W_hr (o ⊙ tanh(c'))

    Graves 2013 (arXiv 1308.0850), equations 7–11, W_hr only with `proj_size` (Sak et al. 2014, arXiv 1402.1128).
    Beyond torch's arguments, all by keyword:

    layer_norm: normalise what the input and what h add to the gates, and c' on its way out, with gains and for c' a
        bias (Ba et al. 2016, arXiv 1607.06450, equations 20–22).
    recurrent_dropout: share of g dropped in training, drawn at every step (Semeniuta et al. 2016, arXiv 1603.05118).
    zoneout: share of units that keep their value, of h and of c (Krueger et al. 2016, arXiv 1606.01305); else what is
        to be expected.
    generator: draws the parameters; None: torch's default.

    Raises ValueError or TypeError for arguments out of range.
    """

    blocks = 4
    zoneout: tuple[float, float]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        layer_norm: bool = False,
        recurrent_dropout: float = 0.0,
        zoneout: tuple[float, float] = (0.0, 0.0),
        generator: torch.Generator | None = None,
    ) -> None:
        if not isinstance(zoneout, tuple):
            raise TypeError(f"an LSTM's zoneout is a pair, the rates of h and of c, not {zoneout!r}")
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            device,
            dtype,
            layer_norm,
            recurrent_dropout,
            zoneout,
            generator,
            proj_size,
        )

    def forward(
        self,
        input: Input,
        hx: tuple[Tensor, Tensor] | None = None,
        *,
        lengths: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Input, tuple[Tensor, Tensor]]:
        """From input, h (L·D, B, R) and c (L·D, B, H), the outputs (…, D·R) and the last h and c; else as in `RNN`."""
        y, (h, c) = self._outer(input, hx, lengths, generator)
        return y, (h, c)

    def _direction(
        self,
        x: Tensor,
        state: tuple[Tensor, ...],
        suffix: str,
        lengths: Tensor | None,
        reverse: bool,
        masks: Masks | None,
    ) -> ops.Layer:
        hr = self._get("weight_hr", suffix)
        weights = lstm_weights(*self._matrices(suffix), hr, self._norms(suffix))
        return ops.Layer("lstm", x, state, weights, lengths, reverse, (self.zoneout, masks))

    def _state_sizes(self) -> dict[str, int]:
        return {"h": self.proj_size or self.hidden_size, "c": self.hidden_size}

    def _norm_shapes(self) -> dict[str, tuple[int, ...] | None]:
        units = (self.hidden_size,) if self.layer_norm else None
        return {**super()._norm_shapes(), "norm_c": units, "norm_c_bias": units}
