"""Elman, LSTM and GRU as operators of torch.library: what a compiled or exported program holds.

A compiler would unroll the loop over time and so fix the number of steps; as one operator it stays free, and an
exporter finds it by name (`recurra.nn.onnx`). The gradient is one more operator, which runs the forward again and
differentiates it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch._C import DispatchKey

__all__ = ["operator"]


@contextmanager
def _autograd() -> Iterator[None]:
    """Let autograd record inside of an operator, where torch leaves it out."""
    with torch._C._PreserveDispatchKeyGuard(), torch.enable_grad():
        for key in (DispatchKey.AutogradFunctionality, DispatchKey.ADInplaceOrView):
            torch._C._dispatch_tls_set_dispatch_key_excluded(key, False)
        yield


def operator(
    name: str, run: Callable[..., tuple[Tensor, ...]], schema: str, states: int
) -> Callable[..., Any]:
    """Register `recurra::<name>` and its gradient.

    `run` computes it in any mode of torch. `schema` names the tensors: x (B, T, I), `states` initial states (B, ·),
    weights; then come `Tensor? lengths`, `bool reverse` and flags. The outputs are y (B, T, R) and the last states.
    """
    tensors = schema.count("Tensor") - 1  # without the lengths

    def forward(*arguments: Any) -> tuple[Tensor, ...]:
        # An operator may not return what it was given, as it would without steps; its fake gives contiguous tensors.
        return tuple(each.clone(memory_format=torch.contiguous_format) for each in run(*arguments))

    def backward(grads: Sequence[Tensor], inputs: Sequence[Tensor | None], *rest: Any) -> list[Tensor]:
        with _autograd():
            leaves = [None if each is None else each.detach().requires_grad_() for each in inputs]
            given = [each for each in leaves if each is not None]
            found = torch.autograd.grad(
                run(*leaves, *rest), given, list(grads), allow_unused=True, materialize_grads=True
            )
        return [each.contiguous() for each in found]

    def save(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs[: tensors + 1])
        ctx.rest = inputs[tensors + 1 :]

    def differentiate(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        *inputs, lengths = ctx.saved_tensors
        found = iter(gradient(list(grads), inputs, lengths, *ctx.rest))
        passed = [None if each is None else next(found) for each in inputs]
        return *passed, *[None] * (1 + len(ctx.rest))

    flags = schema[schema.index("Tensor? lengths") :]
    returned = ", ".join(["Tensor"] * (1 + states))
    made = torch.library.custom_op(
        f"recurra::{name}", forward, mutates_args=(), schema=f"({schema}) -> ({returned})"
    )
    gradient = torch.library.custom_op(
        f"recurra::{name}_backward",
        backward,
        mutates_args=(),
        schema=f"(Tensor[] grads, Tensor?[] inputs, {flags}) -> Tensor[]",
    )

    @made.register_fake
    def _(x: Tensor, *rest: Any) -> tuple[Tensor, ...]:
        before = rest[:states]
        return x.new_empty(x.shape[0], x.shape[1], before[0].shape[1]), *map(torch.empty_like, before)

    @gradient.register_fake
    def _(grads: Any, inputs: Sequence[Tensor | None], *rest: Any) -> list[Tensor]:
        return [each.new_empty(each.shape) for each in inputs if each is not None]

    made.register_autograd(differentiate, setup_context=save)
    return made
