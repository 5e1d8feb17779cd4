"""A network that reads tokens and looks up a memory: the decoder of translators and captioners.

Legend: B rows, T steps, V tokens, O outputs of the stack.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from recurra.networks.attention import Attention, Memory
from recurra.networks.blocks.common import dense
from recurra.networks.dropout import dropout
from recurra.networks.embeddings import Embedding
from recurra.networks.recurrent import Recurrent
from recurra.networks.tokens import Head, counting
from recurra.ops import ragged
from recurra.ops.dense.masks import check_rate
from recurra.state import State, where

__all__ = ["AttentionDecoder", "DecoderState"]


class DecoderState(NamedTuple):
    """What the step before gave (B, O), () where it is not fed, and the stack's state."""

    fed: State
    stack: State


class AttentionDecoder(nn.Module):
    """An embedding, a stack, attention over a memory and a head: tokens go in, scores of the next ones come out.

        h_t = stack([embedding(x_t), a_{t-1}])      c_t = attention(h_t)      a_t = tanh(W [c_t, h_t])

    The head scores a_t. Luong, Pham & Manning 2015 (arXiv 1508.04025), equation 5 and section 3.3.

    Parameters
    ----------
    embedding, recurrent, attention, head: the parts; the stack takes what the embedding gives and O numbers more.
    input_feeding: whether a_{t-1} goes in. Without, all steps of a sequence are one call, much faster, and the stack
        takes what the embedding gives.
    input_dropout: share of the embedding's numbers that is dropped in training, 0 … 1 exclusive.
    output_dropout: share of what enters the head that is dropped in training, 0 … 1 exclusive.
    generator: what draws W.

    Raises ValueError for sizes that do not fit together, and for a stack with variational dropout or weight-drop
    beside input feeding, which would draw them anew at every step.
    """

    def __init__(
        self,
        embedding: Embedding,
        recurrent: Recurrent,
        attention: Attention,
        head: Head,
        *,
        input_feeding: bool = True,
        input_dropout: float = 0.0,
        output_dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        size, wanted = recurrent.output_size, embedding.size
        wanted += size if input_feeding else 0
        if recurrent.input_size != wanted or attention.query_size != size or head.input_size != size:
            raise ValueError(
                f"the parts do not fit: the stack takes {recurrent.input_size} and should take {wanted}; it gives "
                f"{size}, attention takes {attention.query_size}, the head {head.input_size}"
            )
        if input_feeding and (recurrent.variational or recurrent.weight_drop):
            raise ValueError(
                "with input feeding a stack runs step by step, which draws variational dropout and weight-drop anew at "
                "each: leave them out, or say input_feeding=False"
            )
        self.embedding, self.recurrent, self.attention, self.head = embedding, recurrent, attention, head
        self.input_feeding = input_feeding
        self.input_dropout = check_rate("input_dropout", input_dropout)
        self.output_dropout = check_rate("output_dropout", output_dropout)
        self.mixed = dense(2 * size, size, bias=False, generator=generator)

    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> DecoderState:
        """The state before the first token; `_replace(stack=…)` starts from an encoder's."""
        stack = self.recurrent.initial_state(batch_size, device=device, dtype=dtype)
        like = self.mixed.weight
        fed = torch.zeros(batch_size, len(like), device=device or like.device, dtype=dtype or like.dtype)
        return DecoderState(fed if self.input_feeding else (), stack)

    def step(
        self,
        tokens: Tensor,
        state: DecoderState,
        memory: Memory,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, DecoderState]:
        """One step: tokens (B,) and what is remembered give the scores (B, V) of the next ones and the state after.

        In training it is a sequence of one step.
        """
        if self.training:
            hidden, after = self(tokens.unsqueeze(1), memory, state, generator=generator)
            hidden = self._dropped(hidden, self.output_dropout, generator).squeeze(1)
        else:
            hidden, after = self._advance(self.embedding(tokens), state, memory, None)
        return self.head(hidden), after

    def forward(
        self,
        tokens: Tensor,
        memory: Memory,
        state: DecoderState | None = None,
        lengths: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, DecoderState]:
        """All steps: tokens (B, T) give what enters the head (B, T, O) and the state after each row's last step.

        `lengths` (B,) are in 0 … T: past its length a row's state stays, its output is zero, its tokens are not read.
        `generator`, on the CPU, draws all masks in training. Raises ValueError for misfits.
        """
        lengths = ragged.check(lengths, tokens)
        x = self.embedding(ragged.fill(tokens, lengths, 0), generator)
        x = self._dropped(x, self.input_dropout, generator)
        state = self.initial_state(len(x), device=x.device, dtype=x.dtype) if state is None else state
        if self.input_feeding:
            y, after = self._walk(x, state, memory, lengths, generator)
        else:
            hidden, stack = self.recurrent(x, state.stack, lengths, generator)
            y, after = self._looked_up(hidden, memory), state._replace(stack=stack)
        return ragged.fill(y, lengths), after

    def loss(
        self,
        tokens: Tensor,
        targets: Tensor,
        memory: Memory,
        state: DecoderState | None = None,
        lengths: Tensor | None = None,
        weight: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, DecoderState]:
        """The mean negative log-likelihood, in nats, of `targets` (B, T) after `tokens` (B, T), and the state after.

        What counts are the steps within `lengths`, each as much as its `weight` (B, T) says (`recurra.networks.heads`).
        """
        hidden, after = self(tokens, memory, state, lengths, generator)
        entering = self._dropped(hidden, self.output_dropout, generator)
        return self.head.loss(entering, targets, counting(targets, lengths, weight)), after

    def _walk(
        self,
        x: Tensor,
        state: DecoderState,
        memory: Memory,
        lengths: Tensor | None,
        generator: torch.Generator | None,
    ) -> tuple[Tensor, DecoderState]:
        """Step by step through x (B, T, E)."""
        there = None if lengths is None else ragged.valid(lengths, x.shape[1])
        outputs = []
        for t, entering in enumerate(x.unbind(1)):
            y, after = self._advance(entering, state, memory, generator)
            state = after if there is None else where(there[:, t], after, state)
            outputs.append(y)
        return torch.stack(outputs, 1) if outputs else x.new_zeros(len(x), 0, self.head.input_size), state

    def _advance(
        self, x: Tensor, state: DecoderState, memory: Memory, generator: torch.Generator | None
    ) -> tuple[Tensor, DecoderState]:
        """One step from x (B, E) to what enters the head (B, O)."""
        if isinstance(state.fed, Tensor):
            x = torch.cat([x, state.fed], -1)
        hidden, stack = self.recurrent.step(x, state.stack, generator)  # type: ignore[arg-type]
        y = self._looked_up(hidden, memory)
        return y, DecoderState(y if self.input_feeding else (), stack)

    def _looked_up(self, hidden: Tensor, memory: Memory) -> Tensor:
        return torch.tanh(self.mixed(torch.cat([self.attention(hidden, memory), hidden], -1)))

    def _dropped(self, x: Tensor, rate: float, generator: torch.Generator | None) -> Tensor:
        if not self.training or rate == 0.0:
            return x
        return dropout(x, rate, generator, variational=self.recurrent.variational)
