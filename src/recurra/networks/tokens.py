"""A network that reads tokens and says what comes next. Legend: B rows, T steps, V tokens, O outputs of the stack."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from recurra.networks.dropout import dropout
from recurra.networks.embeddings import Embedding
from recurra.networks.heads import AdaptiveSoftmaxHead, SoftmaxHead
from recurra.networks.recurrent import Recurrent
from recurra.networks.sampled import SampledSoftmax
from recurra.ops import ragged
from recurra.ops.dense.masks import check_rate

__all__ = ["Head", "TokenNetwork", "counting"]

Head = SoftmaxHead | AdaptiveSoftmaxHead


class TokenNetwork(nn.Module):
    """An embedding, a stack and a head: tokens go in, scores of the next ones come out.

    With LSTM layers, variational dropout, weight-drop, word dropout and the head's weight tied to the embedding's it is
    the AWD-LSTM of Merity et al. 2017 (arXiv 1708.02182). Dropout of the inputs and of the outputs drops the same
    units of a row at all its steps where the stack's own does (`Recurrent(variational=True)`).

    Parameters
    ----------
    embedding, recurrent, head: the parts; each takes what the one before gives.
    input_dropout: share of what enters the stack that is dropped in training, 0 … 1 exclusive.
    output_dropout: share of what enters the head that is dropped in training, 0 … 1 exclusive.
    activation_regularization: α, by which the mean square of what enters the head adds to the loss in training.
    temporal_regularization: β, by which the mean square of the outputs' changes from step to step does (section 4.6).

    Raises ValueError for sizes that do not fit together.
    """

    def __init__(
        self,
        embedding: Embedding,
        recurrent: Recurrent,
        head: Head,
        *,
        input_dropout: float = 0.0,
        output_dropout: float = 0.0,
        activation_regularization: float = 0.0,
        temporal_regularization: float = 0.0,
    ) -> None:
        super().__init__()
        if recurrent.input_size != embedding.size or head.input_size != recurrent.output_size:
            raise ValueError(
                f"the parts do not fit: the embedding gives {embedding.size}, the stack takes {recurrent.input_size} "
                f"and gives {recurrent.output_size}, the head takes {head.input_size}"
            )
        self.embedding, self.recurrent, self.head = embedding, recurrent, head
        self.input_dropout = check_rate("input_dropout", input_dropout)
        self.output_dropout = check_rate("output_dropout", output_dropout)
        self.activation_regularization = activation_regularization
        self.temporal_regularization = temporal_regularization

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> Any:
        """The state before the first token."""
        return self.recurrent.initial_state(batch_size, device=device, dtype=dtype)

    def step(
        self, tokens: Tensor, state: Any, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Any]:
        """One step: tokens (B,) give the scores (B, V) of the next ones and the state after.

        In training it is a sequence of one step. Raises ValueError if a layer is bidirectional.
        """
        if self.training:
            hidden, after = self(tokens.unsqueeze(1), state, generator=generator)
            hidden = self._dropped(hidden, self.output_dropout, generator).squeeze(1)
        else:
            hidden, after = self.recurrent.step(self.embedding(tokens), state)
        return self.head(hidden), after

    def forward(
        self,
        tokens: Tensor,
        state: Any = None,
        lengths: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Any]:
        """All steps: tokens (B, T) give what enters the head (B, T, O) and the state after each row's last step.

        `lengths` (B,) are in 0 … T: past its length a row's state stays, its output is zero, its tokens are not read.
        `generator`, on the CPU, draws all masks in training. Raises ValueError for misfits.
        """
        lengths = ragged.check(lengths, tokens)
        x = self.embedding(ragged.fill(tokens, lengths, 0), generator)
        x = self._dropped(x, self.input_dropout, generator)
        y: tuple[Tensor, Any] = self.recurrent(x, state, lengths, generator)
        return y

    def loss(
        self,
        tokens: Tensor,
        targets: Tensor,
        state: Any = None,
        lengths: Tensor | None = None,
        weight: Tensor | None = None,
        generator: torch.Generator | None = None,
        *,
        sampled: SampledSoftmax | None = None,
    ) -> tuple[Tensor, Any]:
        """The mean negative log-likelihood, in nats, of `targets` (B, T) after `tokens` (B, T), and the state after.

        What counts are the steps within `lengths`, each as much as its `weight` (B, T) says (`recurra.networks.heads`).
        In training the regularizations are added. `sampled` gives the loss in place of the head, of which it is.
        """
        hidden, after = self(tokens, state, lengths, generator)
        entering = self._dropped(hidden, self.output_dropout, generator)
        counts = counting(targets, lengths, weight)
        if sampled is None:
            loss = self.head.loss(entering, targets, counts)
        else:
            loss = sampled.loss(entering, targets, counts, generator)
        if self.training and self.activation_regularization:
            loss = loss + self.activation_regularization * _mean_square(entering, lengths)
        if self.training and self.temporal_regularization:
            changes, later = hidden[:, 1:] - hidden[:, :-1], None if lengths is None else lengths - 1
            loss = loss + self.temporal_regularization * _mean_square(changes, later)
        return loss, after

    def _dropped(self, x: Tensor, rate: float, generator: torch.Generator | None) -> Tensor:
        if not self.training or rate == 0.0:
            return x
        return dropout(x, rate, generator, variational=self.recurrent.variational)


def counting(targets: Tensor, lengths: Tensor | None, weight: Tensor | None) -> Tensor | None:
    """How much each of `targets` (B, T) counts in a loss: `weight`, or 1, within `lengths`, and 0 past them."""
    lengths = ragged.check(lengths, targets)
    if lengths is None:
        return weight
    return ragged.fill(torch.ones_like(targets) if weight is None else weight, lengths, 0)


def _mean_square(x: Tensor, lengths: Tensor | None) -> Tensor:
    """The mean square of x (B, T, D) over the steps within `lengths`, which may be below 0; 0 without any."""
    if lengths is None:
        return x.square().sum() / max(1, x.numel())
    steps = lengths.to(x.device).clamp(min=0)
    return ragged.fill(x, steps).square().sum() / (steps.sum() * x.shape[2]).clamp(min=1)
