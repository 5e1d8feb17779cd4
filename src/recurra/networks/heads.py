"""What stands on a network: from its outputs to scores of tokens or to quantiles, and the loss of either.

Legend: D inputs, V tokens, Q quantiles; … rows, steps or both. A loss is a mean over all that counts: `weight` (…),
booleans or numbers of 0 or more, says how much each does, and what weighs nothing is never read, NaN included.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, log_softmax, softplus

from recurra import ops
from recurra.networks.blocks.common import dense

__all__ = ["AdaptiveSoftmaxHead", "QuantileHead", "SoftmaxHead", "counted", "mean", "pinball", "rising"]


class SoftmaxHead(nn.Module):
    """A score for each token, the logarithm of its probability but for a constant: W (P h) + b.

    Parameters
    ----------
    input_size: D.
    vocabulary: V; not needed with `weight`.
    weight: W (V, E), a parameter of another module, an embedding's, which stays one (weight tying: Press & Wolf 2017,
        arXiv 1608.05859); None: a matrix of its own.
    projection_size: E, to which the matrix P (E, D) brings h first; 0: there is none, and E is D.
    bias: whether there is b (V,), 0 at first.
    generator: what draws the first weights.

    Raises ValueError for sizes that do not fit together.
    """

    projection: Tensor | None
    bias: Tensor | None

    def __init__(
        self,
        input_size: int,
        vocabulary: int | None = None,
        *,
        weight: nn.Parameter | None = None,
        projection_size: int = 0,
        bias: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        size = projection_size or input_size
        if weight is not None and weight.shape != (vocabulary or len(weight), size):
            raise ValueError(
                f"a head of {vocabulary or len(weight)} tokens and {size} inputs cannot use a weight of shape "
                f"{tuple(weight.shape)}; projection_size={weight.shape[-1]} brings its inputs to that size"
            )
        if weight is None and not vocabulary:
            raise ValueError("a softmax head needs the size of its vocabulary, or a weight to share")
        self.input_size, self.vocabulary = input_size, vocabulary or len(weight)  # type: ignore[arg-type]
        own = nn.Parameter(torch.empty(self.vocabulary, size)) if weight is None else weight
        projection = nn.Parameter(torch.empty(size, input_size)) if projection_size else None
        self.weight = own
        self.register_parameter("projection", projection)
        self.register_parameter("bias", nn.Parameter(torch.zeros(self.vocabulary)) if bias else None)
        for matrix in (own if weight is None else None, projection):
            if matrix is not None:
                _draw(matrix, generator)

    def forward(self, h: Tensor) -> Tensor:
        """The scores (…, V) of h (…, D)."""
        return linear(self._projected(h), self.weight, self.bias)

    def log_prob(self, h: Tensor) -> Tensor:
        """The logarithms of the probabilities (…, V)."""
        return log_softmax(self(h), -1)

    def loss(self, h: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean negative log-likelihood, in nats, of the tokens `target` (…)."""
        h, target, weight = counted(h, target, weight)
        scores = ops.linear(self._projected(h), self.weight, self.bias)
        return mean(ops.cross_entropy(scores, target), weight)

    def _projected(self, h: Tensor) -> Tensor:
        return h if self.projection is None else linear(h, self.projection)


class AdaptiveSoftmaxHead(nn.Module):
    """A softmax over many tokens that spends little on rare ones. Grave et al. 2017 (arXiv 1609.04309).

    Tokens are numbered by falling frequency. `head` scores the first `cutoffs[0]` of them and one entry for each
    cluster of the others, from each cutoff to the next; `tail` scores the tokens within a cluster, from D / shrink,
    D / shrink² … numbers. Parameters are those of `torch.nn.AdaptiveLogSoftmaxWithLoss`, by the same names.

    Parameters
    ----------
    input_size: D.
    vocabulary: V.
    cutoffs: where clusters begin, rising, each 1 … V - 1.
    shrink: by what each cluster's numbers are fewer than those before.
    bias: whether `head` has one.
    generator: what draws the first weights.

    Raises ValueError for cutoffs out of order, and where so many leave a cluster no number.
    """

    def __init__(
        self,
        input_size: int,
        vocabulary: int,
        cutoffs: Sequence[int],
        *,
        shrink: float = 4.0,
        bias: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        bounds = [0, *cutoffs, vocabulary]
        if not cutoffs or any(low >= high for low, high in pairwise(bounds)):
            raise ValueError(f"cutoffs must rise within 1 … {vocabulary - 1}, not {list(cutoffs)}")
        sizes = [int(input_size // shrink ** (number + 1)) for number in range(len(cutoffs))]
        if min(sizes) < 1:
            raise ValueError(f"{input_size} inputs shrunk by {shrink:g} leave cluster {len(sizes)} nothing")
        self.input_size, self.vocabulary, self.cutoffs = input_size, vocabulary, tuple(cutoffs)
        self.head = dense(input_size, cutoffs[0] + len(cutoffs), bias=bias, generator=generator)
        self.tail = nn.ModuleList()
        for size, (low, high) in zip(sizes, pairwise(bounds[1:]), strict=True):
            down = dense(input_size, size, bias=False, generator=generator)
            self.tail.append(nn.Sequential(down, dense(size, high - low, bias=False, generator=generator)))

    def forward(self, h: Tensor) -> Tensor:
        """The logarithms of all probabilities (…, V) after h (…, D)."""
        first = self.cutoffs[0]
        head = log_softmax(self.head(h), -1)
        parts = [head[..., :first]]
        for number, cluster in enumerate(self.tail, start=first):
            parts.append(head[..., number : number + 1] + log_softmax(cluster(h), -1))
        return torch.cat(parts, -1)

    def log_prob(self, h: Tensor) -> Tensor:
        """As `forward`."""
        return self(h)  # type: ignore[no-any-return]

    def loss(self, h: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean negative log-likelihood, in nats, of the tokens `target` (…), from the clusters that these need."""
        h, target, weight = counted(h, target, weight)
        first, starts = self.cutoffs[0], torch.tensor(self.cutoffs, device=target.device)
        cluster = torch.bucketize(target, starts, right=True)  # 0: in `head` itself
        place = torch.where(cluster == 0, target, first - 1 + cluster)
        losses = ops.cross_entropy(self.head(h), place)
        for number, (start, layer) in enumerate(zip(self.cutoffs, self.tail, strict=True), start=1):
            rows = (cluster == number).nonzero().squeeze(1)
            if len(rows):
                within = ops.cross_entropy(layer(h[rows]), target[rows] - start)
                losses = losses.index_add(0, rows, within)
        return mean(losses, weight)


class QuantileHead(nn.Module):
    """Q quantiles that never cross: the middle one, and positive steps up and down from it.

    Parameters
    ----------
    input_size: D.
    levels: the probabilities of the quantiles, rising, each in 0 … 1 exclusive.
    generator: what draws the first weights.

    Raises ValueError for levels out of order.
    """

    def __init__(
        self, input_size: int, levels: Sequence[float], *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        if not levels or any(low >= high for low, high in pairwise((0.0, *levels, 1.0))):
            raise ValueError(f"levels must rise within 0 … 1 exclusive, not {list(levels)}")
        self.input_size, self.levels = input_size, tuple(levels)
        self.weight = nn.Parameter(torch.empty(len(levels), input_size))
        self.bias = nn.Parameter(torch.zeros(len(levels)))
        _draw(self.weight, generator)

    def forward(self, h: Tensor) -> Tensor:
        """The quantiles (…, Q) after h (…, D), never falling along Q."""
        return rising(linear(h, self.weight, self.bias))

    def loss(self, h: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The mean pinball loss of the numbers `target` (…), over all quantiles."""
        h, target, weight = counted(h, target, weight)
        losses = pinball(target.unsqueeze(-1) - self(h), h.new_tensor(self.levels))
        return mean(losses.mean(-1), weight)


def rising(raw: Tensor) -> Tensor:
    """Q free numbers (…, Q) as Q numbers that never fall: the middle one, and positive steps up and down from it."""
    middle = raw.shape[-1] // 2
    anchor, steps = raw[..., middle : middle + 1], softplus(raw)
    up = anchor + steps[..., middle + 1 :].cumsum(-1)
    down = anchor - steps[..., :middle].flip(-1).cumsum(-1).flip(-1)
    return torch.cat([down, anchor, up], -1)


def pinball(error: Tensor, levels: Tensor) -> Tensor:
    """The pinball loss of errors y - q (…, Q) at probabilities `levels` (Q,): max(τ e, (τ - 1) e)."""
    return torch.maximum(levels * error, (levels - 1) * error)


def _draw(matrix: nn.Parameter, generator: torch.Generator | None) -> None:
    """Draw a matrix (O, I) from U(-1/√I, 1/√I)."""
    bound = matrix.shape[1] ** -0.5
    nn.init.uniform_(matrix, -bound, bound, generator=generator)


def counted(h: Tensor, target: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """Outputs (N, D), targets (N,) and weights (N,) of all that counts; ValueError for shapes that do not fit."""
    shapes = [tuple(h.shape[:-1]), tuple(target.shape), *([] if weight is None else [tuple(weight.shape)])]
    if len(set(shapes)) > 1:
        raise ValueError(f"outputs, targets and weights must have one shape, not {shapes}")
    h, target = h.reshape(-1, h.shape[-1]), target.reshape(-1)
    if weight is None:
        return h, target, None
    weight = weight.reshape(-1)
    if not (weight >= 0).all():
        raise ValueError("weights must be 0 or more")
    kept = weight > 0
    return h[kept], target[kept], weight[kept]


def mean(losses: Tensor, weight: Tensor | None) -> Tensor:
    """The weighted mean of losses (N,), 0 where there are none."""
    if weight is None:
        return losses.sum() / max(1, len(losses))
    weight = weight.to(losses.dtype)
    return (losses * weight).sum() / weight.sum().clamp(min=torch.finfo(losses.dtype).tiny)
