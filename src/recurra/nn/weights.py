"""torch.nn's parameters as `recurra.ops` takes them: two biases are one, but for the GRU's inside its reset gate."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recurra.ops import GRUWeights, LayerNorms, LSTMWeights, RNNWeights

__all__ = ["MATRICES", "Matrices", "gru_weights", "lstm_weights", "reset", "rnn_weights"]

MATRICES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
Matrices = tuple[Tensor, Tensor, Tensor | None, Tensor | None]


def rnn_weights(
    ih: Tensor, hh: Tensor, bias_ih: Tensor | None, bias_hh: Tensor | None, norms: LayerNorms | None = None
) -> RNNWeights:
    """From ih (H, I), hh (H, H), biases (H,)."""
    return RNNWeights(ih, hh, _sum(bias_ih, bias_hh), norms)


def gru_weights(
    ih: Tensor, hh: Tensor, bias_ih: Tensor | None, bias_hh: Tensor | None, norms: LayerNorms | None = None
) -> GRUWeights:
    """From ih (3H, I), hh (3H, H), biases (3H,)."""
    if bias_ih is None or bias_hh is None:
        return GRUWeights(ih, hh, norms=norms)
    # Split, not sliced: a slice's gradient is the whole, filled with zeros.
    sizes = [2 * hh.shape[1], hh.shape[1]]
    (gates_ih, inner_ih), (gates_hh, inner_hh) = torch.split(bias_ih, sizes), torch.split(bias_hh, sizes)
    return GRUWeights(ih, hh, torch.cat([gates_ih + gates_hh, inner_ih]), inner_hh, norms)


def lstm_weights(
    ih: Tensor,
    hh: Tensor,
    bias_ih: Tensor | None,
    bias_hh: Tensor | None,
    hr: Tensor | None = None,
    norms: LayerNorms | None = None,
) -> LSTMWeights:
    """From ih (4H, I), hh (4H, R), biases (4H,), hr (R, H)."""
    return LSTMWeights(ih, hh, _sum(bias_ih, bias_hh), hr, norms=norms)


def reset(module: nn.Module, hidden_size: int, generator: torch.Generator | None) -> None:
    """Draw every parameter from U(-1/√H, 1/√H), in torch's order; gains of layer norm are 1, their biases 0."""
    bound = hidden_size**-0.5
    for name, parameter in module.named_parameters():
        if name.startswith("norm_"):
            nn.init.constant_(parameter, 0.0 if "_bias_" in name else 1.0)
        else:
            nn.init.uniform_(parameter, -bound, bound, generator=generator)


def _sum(bias_ih: Tensor | None, bias_hh: Tensor | None) -> Tensor | None:
    return None if bias_ih is None or bias_hh is None else bias_ih + bias_hh
