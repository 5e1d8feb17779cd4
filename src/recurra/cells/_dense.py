"""What Elman's cell, LSTM and GRU share: a matrix over h, layer norm, recurrent dropout, zoneout."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from recurra.cell import Cell
from recurra.ops import LayerNorms
from recurra.ops.dense.masks import Masks, check_rate, draw
from recurra.ops.dense.reference import enter

__all__ = ["DenseCell"]


class DenseCell(Cell):
    """A cell whose gates are `blocks` of H units and see h through a matrix.

    A subclass hands its parameters over in `weights` and writes the recurrence.
    """

    norm_ih: Tensor | None
    norm_hh: Tensor

    def __init__(
        self,
        blocks: int,
        input_size: int,
        hidden_size: int,
        recurrent_size: int,
        layer_norm: bool,
        recurrent_dropout: float,
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.output_size = input_size, hidden_size, recurrent_size
        self.recurrent_dropout = check_rate("recurrent_dropout", recurrent_dropout)
        self.weight_ih = nn.Parameter(torch.empty(blocks * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(blocks * hidden_size, recurrent_size))
        self.bias = nn.Parameter(torch.empty(blocks * hidden_size))
        self.optional("norm_ih", (blocks * hidden_size,) if layer_norm else None)
        self.optional("norm_hh", (blocks * hidden_size,) if layer_norm else None)

    @property
    @abstractmethod
    def weights(self) -> Any:
        """The parameters as `recurra.ops` takes them."""

    def optional(self, name: str, shape: tuple[int, ...] | None) -> None:
        """A parameter of this shape, or none."""
        self.register_parameter(name, None if shape is None else nn.Parameter(torch.empty(shape)))

    def norms(self, c: Tensor | None = None, c_bias: Tensor | None = None) -> LayerNorms | None:
        """The gains of layer norm, where there is one."""
        return None if self.norm_ih is None else LayerNorms(self.norm_ih, self.norm_hh, c, c_bias)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw every parameter from U(-1/√H, 1/√H); gains are 1, their biases 0."""
        bound = self.hidden_size**-0.5
        for name, parameter in self.named_parameters():
            if name.startswith("norm"):
                nn.init.constant_(parameter, 0.0 if name.endswith("bias") else 1.0)
            else:
                nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def initial(self, batch_size: int, device: torch.device, dtype: torch.dtype) -> Any:
        """Zeros."""
        return torch.zeros(batch_size, self.output_size, device=device, dtype=dtype)

    def project(self, x: Tensor) -> Tensor:
        """What the input adds to the gates."""
        return enter(x, self.weights)

    def draw(
        self, rows: int, steps: int, h: float, c: float, generator: torch.Generator | None
    ) -> Masks | None:
        """Masks of recurrent dropout and of zoneout with these rates."""
        return draw(
            rows,
            steps,
            dropout=(self.recurrent_dropout, self.hidden_size),
            h=(h, self.output_size),
            c=(c, self.hidden_size),
            like=self.weight_hh,
            generator=generator,
        )
