"""Damage packed files at random: each must be an error or run, and never end the process.

    python tests/streaming/fuzz.py 1000000 [SEED]

The round that ends the process (a crash) lies within the 10,000 after the last line that was printed.
"""

from __future__ import annotations

import copy
import json
import random
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from recurra.cells import GRU, LSTM, MinGRU
from recurra.errors import RecurraError
from recurra.networks import Recurrent
from recurra.networks.attention import Attention
from recurra.networks.decoder import AttentionDecoder
from recurra.networks.embeddings import Embedding
from recurra.networks.heads import SoftmaxHead
from recurra.networks.tokens import TokenNetwork
from recurra.streaming.pack import pack
from recurra.streaming.packed import Packed, parse
from recurra.streaming.run import Engine

V = 11
STRANGE = [0, 1, 5, 10**6, 2**40, 2**62, 10**30, -1, 0.5, None, True, "x", [], {}, [3], [[1, 2]]]


def files() -> list[bytes]:
    """Small packed networks with tokens, with numbers, with a memory, in several formats."""
    generator = torch.Generator().manual_seed(0)
    tokens = TokenNetwork(
        Embedding(V, 6, generator=generator),
        Recurrent([LSTM(6, 40, generator=generator)]),
        SoftmaxHead(40, V),
    )
    numbers = Recurrent([MinGRU(3, 5, generator=generator), GRU(5, 4, generator=generator)], norm="layer")
    decoder = AttentionDecoder(
        Embedding(V, 6, generator=generator),
        Recurrent([GRU(6 + 8, 8, generator=generator)]),
        Attention(8, 4, heads=2, generator=generator),
        SoftmaxHead(8, V),
    )
    made = []
    with tempfile.TemporaryDirectory() as folder:
        for network, format in (
            (tokens, "int8"),
            (tokens, "int4"),
            (numbers, "float32"),
            (decoder, "float16"),
        ):
            path = Path(folder) / "packed"
            pack(network, format, bound=9.0).save(path)
            made.append(path.read_bytes())
    return made


def damaged(whole: bytes, draw: random.Random) -> bytes:
    """The file with some bytes, numbers of its description or instructions changed, or cut off."""
    size = int.from_bytes(whole[:8], "little")
    kind = draw.random()
    if kind < 0.1:
        return whole[: draw.randrange(len(whole))]
    if kind < 0.4:
        return _edited(whole, size, draw)
    data = bytearray(whole)
    table = json.loads(whole[8 : 8 + size])["instructions"]["data_offsets"]
    for _ in range(draw.randint(1, 4)):
        if kind < 0.8:  # whole numbers of the instructions
            at = 8 + size + draw.randrange(*table) // 8 * 8
            value = draw.choice([0, 1, 2, 3, 7, 64, -1, 2**31, 2**62, -(2**63), draw.randrange(200)])
            data[at : at + 8] = value.to_bytes(8, "little", signed=True)
        else:
            data[draw.randrange(len(data))] = draw.randrange(256)
    return bytes(data)


def _edited(whole: bytes, size: int, draw: random.Random) -> bytes:
    """A number, a text or a part of the header changed, its size kept right."""
    header = json.loads(whole[8 : 8 + size])
    description = json.loads(header["__metadata__"]["recurra"])
    target = draw.choice([header, description, description])
    for _ in range(draw.randint(1, 3)):
        where = target
        key = draw.choice(list(where))
        while isinstance(where[key], (dict, list)) and where[key] and draw.random() < 0.9:
            where = where[key]
            key = draw.choice(list(where)) if isinstance(where, dict) else draw.randrange(len(where))
        where[key] = copy.deepcopy(draw.choice(STRANGE))
    header["__metadata__"] = {"recurra": json.dumps(description)} if draw.random() < 0.95 else {}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + whole[8 + size :]


def run(packed: Packed) -> None:
    """What a network can do, as far as it has it."""
    engine = Engine(packed, threads=1)
    sessions = [engine.session() for _ in range(3)]
    if len(packed.initial) > 10**6 or packed.description["frame"] > 10**6:
        return
    inputs = [
        np.zeros(4, np.int64) if offset is None else np.ones((4, size), np.float32)
        for _, size, offset in packed.description["inputs"]
        if size < 10**5
    ]
    engine.step(sessions, *(each[:3] for each in inputs))
    sessions[0].read(*inputs)
    sessions[0].generate(5)


def main(rounds: int, seed: int) -> dict[str, int]:
    """How many of the damaged files were refused, ran, and were refused when they ran."""
    whole = files()
    found = {"refused": 0, "ran": 0, "refused while it ran": 0}
    for round_ in range(rounds):
        draw = random.Random(seed + round_)
        data = np.frombuffer(damaged(draw.choice(whole), draw), np.uint8)
        if rounds > 10_000 and round_ % 10_000 == 0:
            print(round_, found, flush=True)
        try:
            packed = parse(data, "damaged")
            Engine(packed, threads=1)
        except RecurraError:
            found["refused"] += 1
            continue
        try:
            run(packed)
            found["ran"] += 1
        except RecurraError:
            found["refused while it ran"] += 1
    return found


if __name__ == "__main__":
    print(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
