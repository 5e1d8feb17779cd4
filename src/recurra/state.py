"""What the state of a recurrent network is, and the only code that looks inside one.

A state is a real tensor whose axis 0 is the batch, or a (named) tuple of states, nested as deep as a network
needs. Noise has the same form, with time as axis 1. Every function returns a new state and changes none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = [
    "State",
    "at",
    "cat",
    "check_rows",
    "detach",
    "flatten",
    "put",
    "select",
    "to",
    "transform",
    "unflatten",
    "where",
]

State = Tensor | tuple["State", ...]


def transform(function: Callable[..., Tensor], *states: State) -> Any:
    """Apply `function` to the tensors that stand at the same place in every one of `states`.

    Raises ValueError when the states are not built alike.
    """
    first = states[0]
    if isinstance(first, Tensor):
        if not all(isinstance(other, Tensor) for other in states):
            raise ValueError(f"states differ in structure: {' against '.join(map(_describe, states))}")
        return function(*states)
    if not isinstance(first, tuple):
        raise TypeError(f"a state is a tensor or a tuple of states, not {type(first).__name__}")
    if not all(isinstance(other, tuple) and len(other) == len(first) for other in states):
        raise ValueError(f"states differ in structure: {' against '.join(map(_describe, states))}")
    return _rebuild(first, [transform(function, *parts) for parts in zip(*states, strict=True)])


def select(state: State, index: Tensor) -> Any:
    """Take the rows `index` (N,), an integer or boolean tensor; rows may repeat (beams) or be left out."""
    return transform(lambda leaf: leaf[index.to(leaf.device)], state)


def cat(states: Sequence[State]) -> Any:
    """Join the batches of several states along axis 0; raises ValueError for none or for unlike states."""
    if not states:
        raise ValueError("cat needs at least one state")
    return transform(lambda *leaves: torch.cat(leaves), *states)


def put(state: State, index: Tensor, rows: State) -> Any:
    """A copy of `state` in which the rows `index` (N,) are `rows` (N, …)."""
    return transform(lambda leaf, new: leaf.index_copy(0, index.to(leaf.device), new), state, rows)


def where(mask: Tensor, new: State, old: State) -> Any:
    """For each row `new` where `mask` (B,) is true, else `old`; the one not taken leaves no trace."""
    return transform(
        lambda a, b: torch.where(mask.to(a.device).reshape(-1, *(1,) * (a.dim() - 1)), a, b), new, old
    )


def detach(state: State) -> Any:
    """The same values cut off from the graph: where truncated backpropagation stops."""
    return transform(Tensor.detach, state)


def to(state: State, *args: Any, **kwargs: Any) -> Any:
    """Every tensor moved or cast as by `Tensor.to`."""
    return transform(lambda leaf: leaf.to(*args, **kwargs), state)


def at(noise: State | None, step: int) -> Any:
    """The part of some noise, axes (B, T, …), that belongs to one step; None stays None."""
    return None if noise is None else transform(lambda leaf: leaf[:, step], noise)


def check_rows(state: State, rows: int) -> None:
    """Raise ValueError, naming the path, where a tensor of `state` has another batch size than `rows`."""
    for path, leaf in flatten(state).items():
        if leaf.shape[:1] != (rows,):
            raise ValueError(
                f"the state's {path} must have {rows} rows as the input does, not shape {tuple(leaf.shape)}"
            )


def flatten(state: State) -> dict[str, Tensor]:
    """The tensors by their path: field names and positions joined by dots, `state` for a bare tensor."""
    return {path or "state": leaf for path, leaf in _leaves(state, "")}


def unflatten(like: State, tensors: Mapping[str, Tensor]) -> Any:
    """The state built as `like` from what `flatten` gave; the batch size may differ from `like`'s.

    Raises ValueError, naming the path, for a tensor that is missing, unexpected or of another shape or type,
    and where the tensors disagree about the batch.
    """
    expected = flatten(like)
    if missing := sorted(expected.keys() - tensors.keys()):
        raise ValueError(f"the state lacks {', '.join(missing)}")
    if unknown := sorted(tensors.keys() - expected.keys()):
        raise ValueError(f"the state has unexpected {', '.join(unknown)}")
    batches = {tensors[path].shape[:1] for path in expected}
    for path, leaf in expected.items():
        found = tensors[path]
        if found.shape[1:] != leaf.shape[1:] or found.dim() != leaf.dim() or found.dtype != leaf.dtype:
            raise ValueError(
                f"the state's {path} must be {leaf.dtype} (batch, {', '.join(map(str, leaf.shape[1:]))}), "
                f"not {found.dtype} {tuple(found.shape)}"
            )
    if len(batches) > 1:
        raise ValueError(f"the state's tensors disagree about the batch: {sorted(b[0] for b in batches)}")
    return _build(like, "", tensors)


def _build(like: State, path: str, tensors: Mapping[str, Tensor]) -> State:
    if isinstance(like, Tensor):
        return tensors[path or "state"]
    parts = [_build(part, _join(path, name), tensors) for name, part in _parts(like)]
    return _rebuild(like, parts)


def _leaves(state: State, path: str) -> list[tuple[str, Tensor]]:
    if isinstance(state, Tensor):
        return [(path, state)]
    if not isinstance(state, tuple):
        raise TypeError(f"a state is a tensor or a tuple of states, not {type(state).__name__}")
    return [leaf for name, part in _parts(state) for leaf in _leaves(part, _join(path, name))]


def _parts(state: tuple[State, ...]) -> list[tuple[str, State]]:
    names: Sequence[str] = getattr(state, "_fields", None) or [str(i) for i in range(len(state))]
    return list(zip(names, state, strict=True))


def _rebuild(like: tuple[State, ...], parts: list[State]) -> State:
    return type(like)(*parts) if hasattr(like, "_fields") else tuple(parts)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _describe(state: object) -> str:
    return (
        f"a {type(state).__name__} of {len(state)}"
        if isinstance(state, tuple)
        else f"a {type(state).__name__}"
    )
