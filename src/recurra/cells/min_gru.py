"""The minimal gated recurrent unit."""

from __future__ import annotations

from recurra.cells._minimal import MinimalCell

__all__ = ["MinGRU"]


class MinGRU(MinimalCell):
    """A gated recurrent unit whose gate and candidate no longer see the state.

        z = σ(W_z x + b_z)      h̃ = W_h x + b_h
        h' = (1 - z) ⊙ h + z ⊙ h̃

    Feng et al. 2024 (arXiv 2410.01201), section 3.1, in its plain form; their log-space form keeps h̃ positive.
    The state, and the output, is h (B, H). `weight` (2H, I) and `bias` (2H,) stack z and h̃.
    """

    gates = "min_gru"
    blocks = 2
