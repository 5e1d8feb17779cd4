"""Run packed networks: NumPy and the extension are all that this needs.

    engine = Engine(Packed.load("model.packed"))
    session = engine.session(sampling=Sampling(temperature=0.8), seed=1)
    session.read(tokens)
    session.generate(50)

An engine holds any number of sessions; each has its own state, seed and settings, and what it gives is the same bit for
bit whatever runs beside it.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from safetensors import SafetensorError
from safetensors import numpy as tensors

from recurra import native
from recurra.decoding import Sampling
from recurra.errors import InputError, ModelError, UsageError
from recurra.streaming.packed import Packed
from recurra.streaming.weights import FORMATS

__all__ = ["Engine", "Session"]

Floats = NDArray[np.float32]

OVER, NOT_NUMBERS, NOTHING_ALLOWED, NOT_A_TOKEN = -4, -1, -2, -3  # native/engine: sampler.hpp, engine.hpp
MOST_SEED = 2**64


class Engine:
    """Sessions of a packed network.

    Parameters
    ----------
    packed: the network.
    threads: how many at most; None: as many as there are cores.

    It may be used from several threads, which then wait for each other. Raises ModelError for a program that is
    damaged, RuntimeError where recurra's extension was not built.
    """

    def __init__(self, packed: Packed, *, threads: int | None = None) -> None:
        self.packed = packed
        known = packed.description
        # How wide each input is; None for tokens.
        self._widths = [None if offset is None else size for _, size, offset in known["inputs"]]
        self._shapes = [tuple(shape[1:]) for _, shape in known["outputs"]]
        if threads is None:
            threads = (
                len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
            )
        matrices = [
            (FORMATS.index(each.format), *each.shape, each.weights, each.scales) for each in packed.matrices
        ]
        try:
            self._engine = native.extension().Engine(
                packed.instructions,
                known["operations"],
                [(size, -1 if offset is None else offset) for _, size, offset in known["inputs"]],
                [(offset, math.prod(shape)) for offset, shape in known["outputs"]],
                [(offset, after, math.prod(shape)) for _, shape, offset, after in known["leaves"]],
                [tuple(each) for each in known["sections"]],
                matrices,
                [tuple(each) for each in known["memories"]],
                packed.constants,
                packed.initial,
                known["frame"],
                threads,
            )
        except (ValueError, TypeError) as error:
            raise ModelError(
                f"the packed network is not whole: {error}", hint="Pack the network again."
            ) from None

    def __len__(self) -> int:
        """How many sessions there are."""
        return int(self._engine.sessions())

    def session(self, *, sampling: Sampling | None = None, seed: int = 0) -> Session:
        """A session at its beginning; `seed`, 0 … 2⁶⁴ - 1, is what its draws begin from.

        Raises UsageError for settings that name tokens which the network does not have.
        """
        _check_seed(seed)
        session = Session(self, self._engine.admit())
        state = self._engine.state(session.slot)
        self._engine.set_state(session.slot, *state[:3], seed, *state[4:])
        if sampling is not None:
            session.sample_with(sampling)
        return session

    def restore(self, saved: bytes) -> Session:
        """A session that goes on from what `Session.save` gave, in whatever process.

        Raises InputError where that is damaged or was saved from another network.
        """
        session = self.session()
        try:
            session._restore(saved)
        except BaseException:
            session.close()
            raise
        return session

    def step(self, sessions: Sequence[Session], *inputs: ArrayLike) -> Floats | tuple[Floats, ...]:
        """One step of several sessions at once, each with its row of every input: tokens (S,) or numbers (S, I).

        Returns the outputs, (S, …) each. Raises UsageError for inputs that do not fit and for a session given twice.
        """
        slots = self._slots(sessions)
        found = _called(self._engine.step, slots, self._entering(inputs, len(slots)), True)
        return self._leaving(found)

    def advance(self, sessions: Sequence[Session]) -> list[int | None]:
        """Let each session choose its next token and take it in: the tokens, None of sessions that have ended.

        Raises InputError where one cannot choose: its logits are not numbers, or everything is masked. The others
        have then moved on all the same.
        """
        tokens = _called(self._engine.advance, self._slots(sessions)).tolist()
        for token in tokens:
            _check_token(token)
        return [None if token == OVER else token for token in tokens]

    def _slots(self, sessions: Sequence[Session]) -> NDArray[np.int64]:
        slots = []
        for each in sessions:
            if each.engine is not self:
                raise UsageError("a session is another engine's", value=each)
            slots.append(each.slot)
        return np.array(slots, np.int64)

    def _entering(self, inputs: Sequence[ArrayLike], rows: int) -> list[NDArray[Any]]:
        """What the extension takes; it is called for every step, so what needs no work costs next to nothing."""
        if len(inputs) != len(self._widths):
            raise UsageError(f"the network takes {len(self._widths)} inputs", value=len(inputs))
        found: list[NDArray[Any]] = []
        for value, width in zip(inputs, self._widths, strict=True):
            array = np.asarray(value)
            if width is None and array.dtype.kind not in "iu":
                raise UsageError("tokens are whole numbers", value=array.dtype)
            wanted = (rows,) if width is None else (rows, width)
            if array.shape != wanted:
                raise UsageError(f"this input must be {wanted}", value=array.shape)
            found.append(np.ascontiguousarray(array, np.int64 if width is None else np.float32))
        return found

    def _leaving(self, found: Floats) -> Floats | tuple[Floats, ...]:
        if len(self._shapes) == 1:
            if len(self._shapes[0]) == 1:
                return found
            return found.reshape(len(found), *self._shapes[0])
        ends = np.cumsum([math.prod(shape) for shape in self._shapes])[:-1]
        parts = np.split(found, ends, axis=1)
        return tuple(
            each.reshape(len(found), *shape) for each, shape in zip(parts, self._shapes, strict=True)
        )


class Session:
    """One sequence that an engine is in the middle of: `Engine.session` makes it.

    Its slot goes back to the engine with `close()`, at the end of `with`, or when nothing refers to it any more.
    """

    def __init__(self, engine: Engine, slot: int, sampling: Sampling | None = None) -> None:
        self._slot: int | None = slot
        self.engine = engine
        self._sampling = Sampling() if sampling is None else sampling

    @property
    def slot(self) -> int:
        """The engine's number for it; UsageError where it was closed."""
        if self._slot is None:
            raise UsageError("this session was closed", hint="Open another with Engine.session().")
        return self._slot

    @property
    def sampling(self) -> Sampling:
        """How it chooses its tokens."""
        return self._sampling

    @property
    def state(self) -> dict[str, Floats]:
        """A copy of each tensor of its state, by the name that `recurra.state.flatten` gives it, without a batch."""
        numbers = np.asarray(self._state()[0])
        leaves = self.engine.packed.description["leaves"]
        return {name: numbers[at : at + math.prod(shape)].reshape(shape) for name, shape, at, _ in leaves}

    def set_state(self, state: Mapping[str, ArrayLike]) -> None:
        """Go on from another state: some or all of its tensors, as `state` names them.

        Raises UsageError for a name that there is none of and for a tensor of another shape.
        """
        numbers, *rest = self._state()
        leaves = {name: (tuple(shape), at) for name, shape, at, _ in self.engine.packed.description["leaves"]}
        for name, value in state.items():
            if name not in leaves:
                raise UsageError(
                    "the state has no such tensor", value=name, hint=f"It has {', '.join(leaves)}."
                )
            shape, at = leaves[name]
            array = np.asarray(value, np.float32)
            if array.shape != shape:
                raise UsageError(f"{name} is {shape}", value=array.shape)
            numbers[at : at + array.size] = array.reshape(-1)
        self.engine._engine.set_state(self.slot, numbers, *rest)

    @property
    def history(self) -> list[int]:
        """The tokens so far, those that were read included: the last 65,536 of them."""
        return [int(each) for each in self._state()[2]]

    @property
    def ended(self) -> bool:
        """Whether it has chosen a token that ends the sequence."""
        return bool(self._state()[6])

    @property
    def scores(self) -> Floats:
        """Those of the next token (V,), empty before the first one."""
        return np.asarray(self._state()[1])

    def sample_with(self, sampling: Sampling) -> None:
        """Choose by these settings from now on; UsageError where they name tokens that there are none of."""
        s = sampling
        numbers = (s.temperature, s.top_k, s.top_p, s.min_p, s.repetition_penalty, s.repetition_window)
        lists = (list(each) for each in (s.banned, s.forced, s.stop))
        _called(self.engine._engine.set_settings, self.slot, *numbers, s.max_tokens or 0, *lists)
        self._sampling = sampling

    def allow(self, mask: NDArray[np.uint8] | None) -> None:
        """Choose only tokens whose bit is set from now on: bytes, the first one's lowest bit for token 0; None: all."""
        bits = None if mask is None else np.ascontiguousarray(mask).view(np.uint8).reshape(-1)
        _called(self.engine._engine.set_allowed, self.slot, bits)

    def remember(self, keys: ArrayLike, values: ArrayLike, memory: int = 0) -> None:
        """What attention reads from now on: keys (M, K) and values (M, V), as the network's attention makes them."""
        k, v = (np.ascontiguousarray(each, np.float32) for each in (keys, values))
        if k.ndim != 2 or v.ndim != 2:
            raise UsageError("keys and values are (M, …)", value=(k.shape, v.shape))
        _called(self.engine._engine.set_memory, self.slot, memory, k, v)

    def read(self, *inputs: ArrayLike, every: bool = False) -> Any:
        """Take in T steps at once: tokens (T,) or numbers (T, I).

        Returns the outputs of the last step, or of every step (T, …). It is the same to the last bit as one step after
        the other, and faster. Raises UsageError for inputs that do not fit.
        """
        steps = len(np.asarray(inputs[0])) if inputs else 0
        entering = self.engine._entering(inputs, steps)
        if not steps and not every:
            raise UsageError("there is no last output of no steps", hint="Say every=True.")
        found = self.engine._leaving(_called(self.engine._engine.prefill, self.slot, entering, steps, every))
        if every:
            return found
        return tuple(each[0] for each in found) if isinstance(found, tuple) else found[0]

    def next(self) -> int | None:
        """Choose a token and take it in; None where the sequence has ended."""
        return self.engine.advance([self])[0]

    def generate(self, most: int) -> list[int]:
        """Up to `most` tokens, fewer where the sequence ends; InputError where it cannot choose one."""
        if most < 0:
            raise UsageError("a count of tokens is 0 or more", value=most)
        tokens = [int(each) for each in _called(self.engine._engine.generate, self.slot, most)]
        if tokens:
            _check_token(tokens[-1])
        return tokens

    def stream(self) -> Iterator[int]:
        """Token by token, until the sequence ends."""
        while (token := self.next()) is not None:
            yield token

    def fork(self, *, seed: int | None = None) -> Session:
        """Another session that goes on from here: same settings, and the same draws to come or another seed's."""
        other = Session(self.engine, self.engine._engine.fork(self.slot), self._sampling)
        if seed is not None:
            _check_seed(seed)
            state = other._state()
            self.engine._engine.set_state(other.slot, *state[:3], seed, *state[4:])
        return other

    def close(self) -> None:
        """Give its slot back; once is enough."""
        if self._slot is not None:
            slot, self._slot = self._slot, None
            self.engine._engine.retire(slot)

    def __del__(self) -> None:
        self.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def save(self) -> bytes:
        """All that it takes to go on in another process (`Engine.restore`), settings and masks excepted."""
        state, scores, history, seed, count, begun, ended = self._state()
        memories: dict[str, Any] = {}
        for number in range(len(self.engine.packed.description["memories"])):
            keys, values = self.engine._engine.memory(self.slot, number)
            memories |= {f"keys.{number}": keys, f"values.{number}": values}
        arrays = {"state": state, "scores": scores, "history": history, **memories}
        arrays["random"] = np.array([seed, count], np.uint64)
        arrays["flags"] = np.array([begun, ended], np.uint8)
        digest = self.engine.packed.description["digest"]
        return bytes(
            tensors.save({name: np.asarray(each) for name, each in arrays.items()}, {"network": digest})
        )

    def _restore(self, saved: bytes) -> None:
        if _network(saved) != self.engine.packed.description["digest"]:
            raise InputError(
                "this session was saved from another network", hint="Load the one that it was saved from."
            )
        try:
            found = tensors.load(saved)
            (seed, count), (begun, ended) = found["random"].tolist(), found["flags"].tolist()
            parts = found["state"], found["scores"], found["history"]
            self.engine._engine.set_state(self.slot, *parts, seed, count, bool(begun), bool(ended))
            for number in range(len(self.engine.packed.description["memories"])):
                self.remember(found[f"keys.{number}"], found[f"values.{number}"], number)
        except (SafetensorError, KeyError, ValueError, TypeError) as error:
            raise InputError(f"this session is damaged: {error}", hint="Save it again.") from None

    def _state(self) -> tuple[Any, ...]:
        return tuple(self.engine._engine.state(self.slot))


def _network(saved: bytes) -> str:
    """The digest of the network that a session was saved from."""
    try:
        size = int.from_bytes(saved[:8], "little")
        return str(json.loads(saved[8 : 8 + size])["__metadata__"]["network"])
    except (ValueError, KeyError, TypeError):
        raise InputError("this is no saved session", hint="Give what Session.save() returned.") from None


def _called(function: Any, *arguments: Any) -> Any:
    """What the extension gives; what it refuses as a UsageError."""
    try:
        return function(*arguments)
    except (ValueError, IndexError) as error:
        raise UsageError(str(error)) from None


def _check_seed(seed: object) -> None:
    if not isinstance(seed, int) or not 0 <= seed < MOST_SEED:
        raise UsageError("a seed is a whole number 0 … 2⁶⁴ - 1", value=seed)


def _check_token(token: int) -> None:
    if token == NOT_NUMBERS:
        raise InputError(
            "the network's scores are not numbers", hint="Look at what it was given, and at its weights."
        )
    if token == NOTHING_ALLOWED:
        raise InputError("no token is left to choose from", hint="Ban or mask fewer of them.")
    if token == NOT_A_TOKEN:
        raise InputError("a token of the history or of the settings is not in the vocabulary")
