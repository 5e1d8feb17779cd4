"""The minimal long short-term memory."""

from __future__ import annotations

from recurra.cells._minimal import MinimalCell

__all__ = ["MinLSTM"]


class MinLSTM(MinimalCell):
    """A long short-term memory whose gates no longer see the state and always add up to one.

        f = σ(W_f x + b_f)      i = σ(W_i x + b_i)      h̃ = W_h x + b_h
        h' = f / (f + i) ⊙ h + i / (f + i) ⊙ h̃

    Feng et al. 2024 (arXiv 2410.01201), section 3.2, in its plain form; their log-space form keeps h̃ positive.
    The state, and the output, is h (B, H). `weight` (3H, I) and `bias` (3H,) stack f, i and h̃.
    """

    gates = "min_lstm"
    blocks = 3
