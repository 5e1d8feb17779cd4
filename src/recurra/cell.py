"""The interface every recurrent cell meets, and the reference loop that runs any of them.

Legend: B rows, T steps, I inputs, P projected, G what enters the recurrence, O outputs, D state units.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn

from recurra import ops
from recurra.ops import ragged
from recurra.ops.dense.heads import units_of_a_head
from recurra.ops.diagonal.reference import GATES, complex_product
from recurra.ops.memory.reference import memory_step
from recurra.state import State, at, check_rows, where

__all__ = ["Cell", "GatedCell", "LinearCell", "MemoryCell", "Terms", "Windowed"]


class Windowed(NamedTuple):
    """The state where `mix` looks back: the last projected rows (B, window, P) and the cell's own state."""

    rows: Tensor
    inner: State


class Cell(nn.Module, ABC):
    """A function `step(x, state) -> (y, state)` and its parameters.

    A subclass sets `input_size` and `output_size`, and writes `initial` and `recur`; `project`, `mix` (with
    `window` and `projected_size`) and `noise` where it needs them.
    """

    input_size: int
    output_size: int
    projected_size: int  # P, needed where window > 0
    window: int = 0  # how many earlier projected rows mix() sees

    @abstractmethod
    def initial(self, batch_size: int, device: torch.device, dtype: torch.dtype) -> State:
        """The state that `recur` starts from; axis 0 of every tensor is the batch."""

    @abstractmethod
    def recur(self, z: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, State]:
        """From z (B, G) and the state before, the output (B, O) and the state after."""

    def project(self, x: Tensor) -> Tensor:
        """(…, I) -> (…, P), knowing no state, so that one matrix product serves all steps."""
        return x

    def mix(self, p: Tensor) -> Tensor:
        """(B, window + T, P) -> (B, T, G), causal and of finite reach: a short convolution, a token shift."""
        return p

    def noise(self, batch_size: int, steps: int, generator: torch.Generator | None) -> Any:
        """Random masks for a whole forward call in training, axes (B, T, …), or None."""
        return None

    @final
    def initial_state(
        self, batch_size: int, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> Any:
        """The state before the first step, of the parameters' device and type unless told otherwise."""
        like = next((p for p in self.parameters() if p.is_floating_point()), torch.empty(0))
        device, dtype = torch.device(device or like.device), dtype or like.dtype
        inner = self.initial(batch_size, device, dtype)
        if self.window == 0:
            return inner
        return Windowed(
            torch.zeros(batch_size, self.window, self.projected_size, device=device, dtype=dtype), inner
        )

    @final
    def step(self, x: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, Any]:
        """One step: x (B, I) and the state before give y (B, O) and the state after.

        `noise` is one step of what `noise()` gave; in training it is drawn where it is not given.
        Raises ValueError for shapes that do not fit.
        """
        self._check(x, state, ("B",))
        if noise is None and self.training:
            noise = at(self.noise(x.shape[0], 1, None), 0)
        z, rows, inner = self._mixed(x.unsqueeze(1), state, None)
        y, inner = self.recur(z.squeeze(1), inner, noise)
        return y, inner if rows is None else Windowed(rows, inner)

    def sequence(
        self, x: Tensor, state: Any, lengths: Tensor | None = None, noise: Any = None
    ) -> tuple[Tensor, Any]:
        """All steps of x (B, T, I): the outputs (B, T, O) and the state after each row's last step.

        `lengths` (B,) are in 0 … T: past its length a row's state stays, its output is zero, x is not read.
        `noise` is what `noise()` gave; in training it is drawn where it is not given. Raises ValueError for
        shapes that do not fit.
        """
        noise = self._entering(x, state, noise)
        lengths = ragged.check(lengths, x)
        z, rows, inner = self._mixed(ragged.fill(x, lengths), state, lengths)
        y, inner = self._scan(z, inner, lengths, noise)
        return y, inner if rows is None else Windowed(rows, inner)

    def forward(
        self, x: Tensor, state: Any, lengths: Tensor | None = None, noise: Any = None
    ) -> tuple[Tensor, Any]:
        """As `sequence`; for what calls modules, such as `torch.func.functional_call`."""
        return self.sequence(x, state, lengths, noise)

    def _entering(self, x: Tensor, state: Any, noise: Any) -> Any:
        """The noise of a sequence: what was given, or drawn in training; ValueError for shapes that do not fit."""
        self._check(x, state, ("B", "T"))
        return self.noise(x.shape[0], x.shape[1], None) if noise is None and self.training else noise

    def _scan(self, z: Tensor, inner: Any, lengths: Tensor | None, noise: Any) -> tuple[Tensor, Any]:
        """The reference loop over z (B, T, G)."""
        mask = None if lengths is None else ragged.valid(lengths, z.shape[1])
        outputs = []
        for t in range(z.shape[1]):
            y, new = self.recur(z[:, t], inner, at(noise, t))
            inner = new if mask is None else where(mask[:, t], new, inner)
            outputs.append(y if mask is None else torch.where(mask[:, t, None], y, 0.0))
        return torch.stack(outputs, 1) if outputs else z.new_zeros(z.shape[0], 0, self.output_size), inner

    def _mixed(self, x: Tensor, state: Any, lengths: Tensor | None) -> tuple[Tensor, Tensor | None, Any]:
        """What enters the recurrence (B, T, G), the window's rows after it, and the cell's own state."""
        p = self.project(x)
        if self.window == 0:
            return self.mix(p), None, state
        before, inner = state
        p = torch.cat([before, p], 1)
        if lengths is None:
            # A copy, or a state of a few rows would hold the whole sequence in memory.
            return self.mix(p), p[:, x.shape[1] :].clone(), inner
        last = lengths.unsqueeze(1) + torch.arange(self.window, device=x.device)
        return self.mix(p), p.gather(1, last.unsqueeze(-1).expand(-1, -1, p.shape[2])), inner

    def _check(self, x: Tensor, state: Any, axes: tuple[str, ...]) -> None:
        if x.dim() != len(axes) + 1 or x.shape[-1] != self.input_size:
            wanted = ", ".join((*axes, str(self.input_size)))
            raise ValueError(f"{type(self).__name__} takes x of shape ({wanted}), not {tuple(x.shape)}")
        check_rows(state, x.shape[0])


class LinearCell(Cell):
    """A cell with h_t = a_t ⊙ h_{t-1} + b_t, where a and b know only the input; its state is h (B, D).

    A subclass writes `coefficients` and `readout`; the step and the scan over a sequence follow from them. Where
    `pairs` is true, a, b and h are complex numbers as real pairs (…, D, 2). Noise, if the cell draws some, is
    a mask (B, T, D) of ones and zeros: where it is zero, h stays as it was (zoneout; not where `pairs`).
    """

    pairs: bool = False

    @abstractmethod
    def coefficients(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """From z (…, G) the decay a and the input b, both (…, D); a may be (D,) where it is the same at every step."""

    @abstractmethod
    def readout(self, z: Tensor, h: Tensor) -> Tensor:
        """The output (…, O) from z (…, G) and the new h (…, D)."""

    def initial(self, batch_size: int, device: torch.device, dtype: torch.dtype) -> Tensor:
        """Zeros, as many as there are outputs."""
        return torch.zeros(batch_size, self.output_size, device=device, dtype=dtype)

    @final
    def recur(self, z: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, State]:
        """One step of the recurrence."""
        a, b = self._kept(z, noise)
        h = (complex_product(a, state) if self.pairs else a * state) + b
        return self.readout(z, h), h

    def _scan(self, z: Tensor, inner: Any, lengths: Tensor | None, noise: Any) -> tuple[Tensor, Any]:
        a, b = self._kept(z, noise)
        h = (ops.complex_scan if self.pairs else ops.linear_scan)(a, b, inner, lengths)
        last = torch.cat([inner.unsqueeze(1), h[:, -1:]], 1)[:, -1]  # h0 where there are no steps
        return ragged.fill(self.readout(z, h), lengths), last

    def _kept(self, z: Tensor, noise: Tensor | None) -> tuple[Tensor, Tensor]:
        a, b = self.coefficients(z)
        return (a, b) if noise is None else (torch.where(noise > 0, a, 1.0), torch.where(noise > 0, b, 0.0))


class GatedCell(LinearCell):
    """A linear cell whose coefficients and readout are those of `recurra.ops.gated_scan`, which runs all of it at once.

    A subclass sets `gates` and, where these take it, writes `shared`.
    """

    gates: str

    def shared(self) -> Tensor | None:
        """What the gates take beside z that is the same at every step, (D,)."""
        return None

    @final
    def coefficients(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The decay a and the input b."""
        shared = self.shared()
        return GATES[self.gates].coefficients(z, *(() if shared is None else (shared,)))

    @final
    def readout(self, z: Tensor, h: Tensor) -> Tensor:
        """The output."""
        return GATES[self.gates].readout(z, h)

    def _scan(self, z: Tensor, inner: Any, lengths: Tensor | None, noise: Any) -> tuple[Tensor, Any]:
        if noise is not None:
            return super()._scan(z, inner, lengths, noise)
        return ops.gated_scan(self.gates, z, inner, self.shared(), lengths)


class Terms(NamedTuple):
    """What a memory takes of one step or of all: q, k, a, b (…, N, K), v (…, N, V), log_w (…, N, 1 or K)."""

    q: Tensor
    k: Tensor
    v: Tensor
    log_w: Tensor
    a: Tensor | None = None
    b: Tensor | None = None


class MemoryCell(Cell):
    """A cell whose state is a matrix for each head, S (B, N, V, K), and whose gates know only the input.

        S_t = S_{t-1} (diag(w_t) + a_t b_tᵀ) + v_t k_tᵀ        o_t = S_t q_t

    A subclass writes `terms` and `readout`; the step and the chunked form over a sequence follow from them. It
    takes no noise. N heads, each with K key and V value channels, H/N unless the subclass sets `key_size` or
    `value_size` to something else. Raises ValueError where `heads` does not divide H.
    """

    def __init__(self, input_size: int, hidden_size: int, heads: int) -> None:
        super().__init__()
        self.input_size, self.output_size, self.heads = input_size, hidden_size, heads
        self.key_size = self.value_size = units_of_a_head(hidden_size, heads)

    @abstractmethod
    def terms(self, z: Tensor) -> Terms:
        """From z (…, G) what enters the memory and what reads it."""

    @abstractmethod
    def readout(self, z: Tensor, o: Tensor) -> Tensor:
        """The output (…, O) from z (…, G) and what was read, o (…, N, V)."""

    def initial(self, batch_size: int, device: torch.device, dtype: torch.dtype) -> State:
        """Zeros."""
        return torch.zeros(batch_size, self.heads, self.value_size, self.key_size, device=device, dtype=dtype)

    def recur(self, z: Tensor, state: Any, noise: Any = None) -> tuple[Tensor, State]:
        """One step of the recurrence."""
        o, s = memory_step(*self.terms(z), state)
        return self.readout(z, o), s

    def _scan(self, z: Tensor, inner: Any, lengths: Tensor | None, noise: Any) -> tuple[Tensor, Any]:
        o, s = ops.memory(*self.terms(z), inner, lengths)
        return ragged.fill(self.readout(z, o), lengths), s
