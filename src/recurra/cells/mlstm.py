"""xLSTM's memory in a matrix, with gates that are exponentials."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, logsigmoid

from recurra.cell import MemoryCell, Terms
from recurra.ops import ragged
from recurra.ops.memory.reference import max_plus_scan
from recurra.state import State

__all__ = ["MLSTM", "MLSTMMemory", "MLSTMState", "draw_gate_biases"]

_EPS = 1e-6  # added to the normalizer, as the authors' package does


class MLSTMState(NamedTuple):
    """The memory (B, N, V + 1, K), whose last row is the normalizer n, and the stabilizer m (B, N)."""

    memory: Tensor
    m: Tensor


class MLSTMMemory(MemoryCell):
    """The mLSTM from its queries, keys, values and gates on; it has no parameters.

        m_t = max(log f_t + m_{t-1}, log i_t)
        f'_t = exp(log f_t + m_{t-1} - m_t)      i'_t = exp(log i_t - m_t)
        C_t = f'_t C_{t-1} + i'_t v_t k_tᵀ       n_t = f'_t n_{t-1} + i'_t k_t
        y_t = C_t q_t / (max(|n_t · q_t|, exp(-m_t)) + ε)

    For each of N heads: Beck et al. 2024 (xLSTM, arXiv 2405.04517), equations 15–17 and 19–21, with log i = ĩ,
    log f = log σ(f̃), k scaled by 1/√K, and ε = 10⁻⁶ from the authors' package xlstm. The input (B, 3H + 2N) is
    q, k, v, ĩ, f̃, the output (B, H) the heads one after another, the state `MLSTMState`, zeros at first.
    Raises ValueError where `heads` does not divide H.
    """

    def __init__(self, hidden_size: int, *, heads: int = 1) -> None:
        super().__init__(3 * hidden_size + 2 * heads, hidden_size, heads)
        self.value_size = self.key_size + 1

    def initial(self, batch_size: int, device: torch.device, dtype: torch.dtype) -> State:
        """Zeros."""
        memory = super().initial(batch_size, device, dtype)
        return MLSTMState(memory, torch.zeros(batch_size, self.heads, device=device, dtype=dtype))  # type: ignore[arg-type]

    def recur(self, z: Tensor, state: MLSTMState, noise: Any = None) -> tuple[Tensor, MLSTMState]:
        """One step of the equations above."""
        log_i, log_f = self._gates(z)
        m = torch.maximum(log_f + state.m, log_i)
        y, memory = super().recur(self._stabilized(z, log_i, log_f, state.m, m), state.memory)
        return y, MLSTMState(memory, m)  # type: ignore[arg-type]

    def _scan(
        self, z: Tensor, inner: MLSTMState, lengths: Tensor | None, noise: Any
    ) -> tuple[Tensor, MLSTMState]:
        log_i, log_f = self._gates(z)
        log_i, log_f = ragged.fill(log_i, lengths, -torch.inf), ragged.fill(log_f, lengths)
        every = torch.cat([inner.m.unsqueeze(1), max_plus_scan(log_f, log_i, inner.m)], 1)
        z = self._stabilized(z, log_i, log_f, every[:, :-1], every[:, 1:])
        y, memory = super()._scan(z, inner.memory, lengths, noise)
        return y, MLSTMState(memory, every[:, -1].clone())

    def terms(self, z: Tensor) -> Terms:
        """The keys scaled by i' / √K, v with a 1 for the normalizer, log f'; from z after `_stabilized`."""
        qkv, log_i, log_f, _, _ = self._parts(z)
        q, k, v = torch.unflatten(qkv, -1, (3, self.heads, -1)).unbind(-3)
        k = k * (self.key_size**-0.5 * log_i.exp()).unsqueeze(-1)
        return Terms(q, k, torch.cat([v, torch.ones_like(v[..., :1])], -1), log_f.unsqueeze(-1))

    def readout(self, z: Tensor, o: Tensor) -> Tensor:
        """What was read, divided by the normalizer, head after head; from z after `_stabilized`."""
        least = (-self._parts(z)[3]).exp().unsqueeze(-1)
        return (o[..., :-1] / (torch.maximum(o[..., -1:].abs(), least) + _EPS)).flatten(-2)

    def _gates(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The logs of i and f, both (…, N)."""
        _, log_i, f, _, _ = self._parts(z)
        return log_i, logsigmoid(f)

    def _stabilized(self, z: Tensor, log_i: Tensor, log_f: Tensor, before: Tensor, m: Tensor) -> Tensor:
        """As z, with log i', log f' and m in place of the two gates; what follows them stays."""
        qkv, _, _, *rest = self._parts(z)
        return torch.cat([qkv, log_i - m, log_f + before - m, m, *rest], -1)

    def _parts(self, z: Tensor) -> tuple[Tensor, ...]:
        """q, k and v in one, three times (…, N), and the rest."""
        first = 3 * self.output_size
        return torch.tensor_split(z, [first, *(first + n * self.heads for n in (1, 2, 3))], -1)


class MLSTM(MLSTMMemory):
    """A memory in a matrix with exponential gates, a normalizer and an output gate.

        q, k, v = W x + b      ĩ, f̃ = w · x + b, one of each for a head      o = σ(W_o x + b_o)      y = o ⊙ h̃

    h̃ is what `MLSTMMemory` gives: Beck et al. 2024 (xLSTM, arXiv 2405.04517), equations 19–27.

    `heads` is N, K = H/N; `weight` (4H + 2N, I) and `bias` (4H + 2N,) stack q, k, v, ĩ, f̃, o.
    Raises ValueError where `heads` does not divide H.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        heads: int = 1,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(hidden_size, heads=heads)
        self.input_size = input_size
        self.weight = nn.Parameter(torch.empty(4 * hidden_size + 2 * heads, input_size))
        self.bias = nn.Parameter(torch.empty(4 * hidden_size + 2 * heads))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """As the package xlstm: weights from N(0, 2/5I), those of ĩ and f̃ zero; biases zero.

        But for the gates': that of f̃ from 3 to 6 over the heads, that of ĩ from N(0, 0.01).
        """
        nn.init.normal_(self.weight, std=(0.4 / self.input_size) ** 0.5, generator=generator)
        nn.init.zeros_(self.bias)
        gates = slice(3 * self.output_size, 3 * self.output_size + 2 * self.heads)
        with torch.no_grad():
            self.weight[gates] = 0.0
            draw_gate_biases(self.bias[gates], generator)

    def project(self, x: Tensor) -> Tensor:
        """q, k, v, the two gates and the output gate, before their activations."""
        return linear(x, self.weight, self.bias)

    def readout(self, z: Tensor, o: Tensor) -> Tensor:
        """h̃ through the output gate."""
        return z[..., -self.output_size :].sigmoid() * super().readout(z, o)


@torch.no_grad()
def draw_gate_biases(bias: Tensor, generator: torch.Generator | None) -> None:
    """Fill the biases (2N,) of ĩ from N(0, 0.01), and of f̃ with 3 … 6 over the heads, as the package xlstm does."""
    entrance, forget = bias.chunk(2)
    entrance.normal_(0.0, 0.1, generator=generator)
    forget.copy_(torch.linspace(3.0, 6.0, len(forget)))
