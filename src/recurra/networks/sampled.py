"""A softmax's loss from few of its tokens: training over a large vocabulary costs a fraction of the time.

Legend: N rows, D inputs of the head, V tokens, K drawn tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from recurra import ops
from recurra.networks.heads import SoftmaxHead, counted, mean

__all__ = ["SampledSoftmax"]


class SampledSoftmax(nn.Module):
    """The loss of a `SoftmaxHead` whose tokens are numbered by falling frequency, for training.

    The sum over the vocabulary counts the first `exact` tokens, which are most of it, and stands for the others by
    `drawn` of them, the same for all rows of a call, each weighed by how seldom it is drawn; the target is counted as
    itself. The sum is so without bias (importance sampling: Bengio & Senécal 2003; the tokens are shared as in
    Jean et al. 2015, arXiv 1412.2007), and the scores end up as those of the whole softmax do.

    Parameters
    ----------
    head: whose loss it is; it stays the head's own.
    frequencies: (V,) how often each token is met.
    exact, drawn: K is their sum; from V tokens on the loss is the whole softmax's.

    Raises ValueError for frequencies that do not fit and for counts below 1.
    """

    def __init__(self, head: SoftmaxHead, frequencies: Tensor, *, exact: int = 512, drawn: int = 512) -> None:
        super().__init__()
        if frequencies.shape != (head.vocabulary,) or exact < 1 or drawn < 1:
            raise ValueError(
                f"{head.vocabulary} tokens need as many frequencies, and counts of 1 or more, not "
                f"{tuple(frequencies.shape)}, {exact} and {drawn}"
            )
        self.head, self.exact, self.drawn = head, exact, drawn
        chances = frequencies[exact:].clamp(min=1).double().sqrt()
        self.chances = (chances / chances.sum()).float()

    def loss(
        self,
        h: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """The mean negative log-likelihood, in nats, of the tokens `target` (…) after h (…, D), as the head's own."""
        head = self.head
        if self.exact + self.drawn >= head.vocabulary:
            return head.loss(h, target, weight)
        h, target, counts = counted(h, target, weight)
        h = h if head.projection is None else linear(h, head.projection)
        drawn = torch.multinomial(self.chances, self.drawn, replacement=True, generator=generator)
        known = torch.cat([torch.arange(self.exact), self.exact + drawn])
        matrix = head.weight[known]
        weighed = h.new_zeros(len(known))
        weighed[self.exact :] = -(self.chances[drawn] * self.drawn).log().to(h.dtype)
        bias = weighed if head.bias is None else head.bias[known] + weighed
        own = (h * head.weight[target]).sum(-1)
        own = own if head.bias is None else own + head.bias[target]
        # What was drawn and is the target counts once, as itself.
        scores = ops.linear(h, matrix, bias).masked_fill(known == target.unsqueeze(-1), -torch.inf)
        scores = torch.cat([scores, own.unsqueeze(-1)], -1)
        return mean(ops.cross_entropy(scores, torch.full_like(target, len(known))), counts)
