"""A linear-chain conditional random field: tags of a sequence that are chosen together, not each by itself.

Legend: B rows, T steps, K tags.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recurra.ops import ragged

__all__ = ["LinearChainCRF"]


class LinearChainCRF(nn.Module):
    """The probability of a sequence of tags y from a network's scores s (T, K) of each tag at each step:

        log p(y) = start[y_1] + Σ_t s[t, y_t] + Σ_t transitions[y_t, y_{t+1}] + end[y_T] - log Z

    Lafferty, McCallum & Pereira 2001; on a network's scores Lample et al. 2016 (arXiv 1603.01360), section 2.2. The
    most probable tags and each tag's own probability come from `recurra.decoding.Chain`, which needs no torch.

    Parameters
    ----------
    tags: K, 1 or more.
    generator: what draws the first weights.

    Raises ValueError without a tag.
    """

    def __init__(self, tags: int, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        if tags < 1:
            raise ValueError(f"a chain needs a tag at least, not {tags}")
        self.tags = tags
        self.transitions = nn.Parameter(torch.empty(tags, tags))  # from a tag, to a tag
        self.start = nn.Parameter(torch.empty(tags))
        self.end = nn.Parameter(torch.empty(tags))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw all weights from U(-0.1, 0.1)."""
        for weight in self.parameters():
            nn.init.uniform_(weight, -0.1, 0.1, generator=generator)

    def forward(self, scores: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Log Z (B,): the logarithm of the sum over all sequences of tags, for scores (B, T, K).

        `lengths` (B,) are in 0 … T, None where all rows are whole; what stands past them is not read. A row without a
        step has one sequence, the empty one: 0. Raises ValueError for misfits.
        """
        scores, lengths = self._checked(scores, lengths)
        rows, steps = scores.shape[:2]
        if steps == 0:
            return scores.new_zeros(rows)
        there = ragged.valid(lengths, steps)
        total = self.start + scores[:, 0]
        for t in range(1, steps):
            grown = (total.unsqueeze(2) + self.transitions).logsumexp(1) + scores[:, t]
            total = torch.where(there[:, t, None], grown, total)
        return torch.where(lengths > 0, (total + self.end).logsumexp(1), 0.0)

    def log_prob(self, scores: Tensor, tags: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Log p (B,) of the sequences `tags` (B, T), integers in 0 … K - 1, under scores (B, T, K)."""
        if tags.shape != scores.shape[:2]:
            raise ValueError(f"tags must be {tuple(scores.shape[:2])}, not {tuple(tags.shape)}")
        scores, lengths = self._checked(scores, lengths)
        if scores.shape[1] == 0:
            return scores.new_zeros(len(scores))
        tags = ragged.fill(tags, lengths, 0)
        each = scores.gather(2, tags.unsqueeze(2)).squeeze(2)
        each = each + torch.cat([self.start[tags[:, :1]], self.transitions[tags[:, :-1], tags[:, 1:]]], 1)
        last = tags.gather(1, (lengths - 1).clamp(min=0).unsqueeze(1)).squeeze(1)
        found = ragged.fill(each, lengths).sum(1) + torch.where(lengths > 0, self.end[last], 0.0)
        return found - self.forward(scores, lengths)

    def loss(self, scores: Tensor, tags: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The negative log-likelihood of `tags` (B, T), in nats, a scalar: the mean over all steps within `lengths`."""
        steps = tags.numel() if lengths is None else int(lengths.sum())
        return -self.log_prob(scores, tags, lengths).sum() / max(1, steps)

    def _checked(self, scores: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        if scores.dim() != 3 or scores.shape[2] != self.tags:
            raise ValueError(f"the chain takes scores (B, T, {self.tags}), not {tuple(scores.shape)}")
        lengths = ragged.check(lengths, scores)
        if lengths is None:
            lengths = torch.full(scores.shape[:1], scores.shape[1], device=scores.device)
        return ragged.fill(scores, lengths), lengths
