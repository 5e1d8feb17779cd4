"""One step at a time, at batch 1: recurra's engine beside torch's and ONNX Runtime's fastest ways to do the same.

    python benchmarks/speed/streaming.py [--threads 2] [--json FILE] [--quick] [--hidden 128 …] [--only steps|words]

steps  one LSTM step, I = H: recurra's engine called from Python for each step, and in its own loop (a greedy choice
       among 32 tokens around the same cell, as steps are taken when text is written). Peers: torch.nn.LSTMCell and
       torch.nn.LSTM at T = 1, in inference mode; ONNX Runtime, its LSTM node and the same step as a matrix product and
       its activations, float32 and int8 (`quantize_dynamic`), buffers bound once and states handed on without copies.
words  a loop over 10,000 words: embedding(512), 2 × LSTM(512), softmax head, a draw at temperature 0.8, and what was
       drawn goes in. Peers: torch's modules; ONNX Runtime int8, the whole network one graph. Its JSON file is FILE with
       -words in its name.
many   64 sessions of that network at once, each with its own draws: words a second altogether, beside one session, and
       the multiplications a second that their matrix products make of it (-many).

Every way runs with one thread and with `--threads`, and shows the better figure; which it was stands below the table.
Ways take turns, and are first held to one another over a few steps, int8 to 5 % of the largest output: for that, ONNX
Runtime's weights must keep to 7 bits (`reduce_range`; where a processor has no VNNI, 8 saturate and are 40 % off).

A step reads all weights once, so the table has the rate of reading as many bytes again and again, as torch reads them,
(`recurra.bench.limits`; whatever level of memory holds them), and what share of it a float32 way reaches. Bars, times
LSTMCell: float32 × 10, 5, 1.4, 1.35, 1.15 for H 128 … 2048, or 85 % of that rate; int8 × 12, and × 3 ONNX Runtime int8,
in the mean; words int8 × 9, and × 3.3 ONNX Runtime int8; int4 × 1.4 int8.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import onnx_steps
import torch
from common import Row, parse, parser, report
from numpy.typing import NDArray
from torch import Tensor, nn

from recurra.bench.limits import read_rate, threads
from recurra.bench.timing import Times, take_turns
from recurra.cells import LSTM
from recurra.decoding import Sampling
from recurra.networks import Embedding, Recurrent, SoftmaxHead, TokenNetwork
from recurra.streaming.pack import pack
from recurra.streaming.run import Engine, Session

HIDDEN = (128, 256, 512, 1024, 2048)
VOCABULARY, UNITS, TEMPERATURE = 10_000, 512, 0.8
EXACT, COARSE, FOUR_BITS = 1e-4, 0.05, 0.3  # of the largest output: what float32, int8 and int4 may differ by
MANY = 64
MULTIPLICATIONS = 2 * 2 * 4 * UNITS**2 + VOCABULARY * UNITS  # of a word: two LSTMs and the head

Array = NDArray[Any]


class Stepper(Protocol):
    """Keeps a state and advances it: x (H,) gives h (H,), or a word's number the scores (V,) of the next."""

    def step(self, x: Any) -> Array: ...


class Writer(Protocol):
    """Keeps a state; `step` draws the next word, `scores` says what it would be drawn from."""

    def step(self, word: int) -> int: ...

    def scores(self, word: int) -> Array: ...


class EngineCell:
    """Recurra's engine, called for every step."""

    def __init__(self, cell: LSTM, weights: str, count: int) -> None:
        self.engine = Engine(pack(cell, weights), threads=count)
        self.session = [self.engine.session()]

    def step(self, x: Array) -> Array:
        found: Any = self.engine.step(self.session, x[None])
        return found[0]


class EngineWriter:
    """Recurra's engine, which draws and goes on by itself: `many` steps are one call."""

    def __init__(
        self, network: TokenNetwork, weights: str, count: int, temperature: float = TEMPERATURE
    ) -> None:
        self.engine = Engine(pack(network, weights, bound=1.0), threads=count)
        self.session = self.engine.session(sampling=Sampling(temperature=temperature))

    def scores(self, word: int) -> Array:
        found: Array = self.session.read(np.array([word]))
        return found

    def step(self, word: int) -> int:
        return self.session.generate(1)[0]

    def many(self, word: int, steps: int) -> None:
        self.session.generate(steps)


def engine_loop(cell: LSTM, weights: str, count: int) -> EngineWriter:
    """The cell between an embedding of and a head for 32 tokens, which take next to nothing beside it."""
    few, units = 32, cell.hidden_size
    writer = EngineWriter(
        TokenNetwork(Embedding(few, units), Recurrent([cell]), SoftmaxHead(units, few)), weights, count, 0
    )
    writer.session.read(np.array([1]))
    return writer


class TorchCell:
    """torch.nn.LSTMCell."""

    def __init__(self, cell: LSTM) -> None:
        self.cell = copied(nn.LSTMCell(cell.input_size, cell.hidden_size), cell, "")
        self.state = (torch.zeros(1, cell.hidden_size), torch.zeros(1, cell.hidden_size))

    def step(self, x: Array) -> Array:
        self.state = self.cell(torch.from_numpy(x)[None], self.state)
        return self.state[0][0].numpy()


class TorchLayer:
    """torch.nn.LSTM, a sequence of one step."""

    def __init__(self, cell: LSTM) -> None:
        self.layer = copied(nn.LSTM(cell.input_size, cell.hidden_size), cell, "_l0")
        self.state = (torch.zeros(1, 1, cell.hidden_size), torch.zeros(1, 1, cell.hidden_size))

    def step(self, x: Array) -> Array:
        y, self.state = self.layer(torch.from_numpy(x)[None, None], self.state)
        return y[0, 0].numpy()


class TorchWriter:
    """torch.nn's Embedding, LSTMCells and Linear; the draw by the cumulative sum, which is faster than multinomial."""

    def __init__(self, network: TokenNetwork) -> None:
        cells: Any = network.recurrent.layers
        self.embedding = nn.Embedding.from_pretrained(network.embedding.weight.detach())
        self.cells = [copied(nn.LSTMCell(UNITS, UNITS), cell, "") for cell in cells]
        self.head = nn.Linear(UNITS, VOCABULARY)
        self.head.load_state_dict({"weight": network.head.weight, "bias": network.head.bias})
        self.states = [(torch.zeros(1, UNITS), torch.zeros(1, UNITS)) for _ in self.cells]

    def _advance(self, word: int) -> Tensor:
        x = self.embedding(torch.tensor([word]))
        for number, cell in enumerate(self.cells):
            self.states[number] = cell(x, self.states[number])
            x = self.states[number][0]
        return self.head(x)[0]

    def scores(self, word: int) -> Array:
        return self._advance(word).numpy()

    def step(self, word: int) -> int:
        total = (self._advance(word) / TEMPERATURE).softmax(-1).cumsum(-1)
        return min(int(torch.searchsorted(total, torch.rand(1) * total[-1])), VOCABULARY - 1)


class OnnxWriter:
    """ONNX Runtime: the whole network one graph, the draw in NumPy."""

    def __init__(self, stepper: Stepper) -> None:
        self.stepper, self.generator = stepper, np.random.default_rng(0)

    def scores(self, word: int) -> Array:
        return self.stepper.step(word)

    def step(self, word: int) -> int:
        scores = self.stepper.step(word)
        total = np.cumsum(np.exp((scores - scores.max()) * np.float32(1 / TEMPERATURE)))
        return min(int(np.searchsorted(total, self.generator.random() * total[-1])), VOCABULARY - 1)


def copied(module: Any, cell: LSTM, ending: str) -> Any:
    """`module` with the weights of `cell`, whose one bias is the sum of torch's two."""
    weights = {"weight_ih": cell.weight_ih, "weight_hh": cell.weight_hh, "bias_ih": cell.bias}
    weights["bias_hh"] = torch.zeros_like(cell.bias)
    module.load_state_dict({name + ending: each for name, each in weights.items()})
    return module.eval()


def candidates(
    peers: Mapping[str, Callable[[int], Any]], counts: tuple[int, ...]
) -> dict[tuple[str, int], Any]:
    """Every way with every number of threads; a way that is not there is None and left out."""
    made = {(name, count): make(count) for name, make in peers.items() for count in counts}
    return {key: each for key, each in made.items() if each is not None}


def timed(ways: Mapping[tuple[str, int], Any], feed: Any, *, quick: bool) -> dict[tuple[str, int], Times]:
    """Seconds of one step of each way: runs of many steps take turns."""
    blocks: dict[str, Callable[[], object]] = {}
    sizes: dict[str, int] = {}
    with torch.inference_mode():
        for key, way in ways.items():
            with threads(key[1]):
                for _ in range(3):
                    way.step(feed)
                start = time.perf_counter()
                for _ in range(3):
                    way.step(feed)
                each = (time.perf_counter() - start) / 3
            name = "/".join(map(str, key))
            sizes[name] = 3 if quick else max(5, int(0.03 / each))
            blocks[name] = block(way, feed, sizes[name], key[1])
        times = take_turns(blocks, budget=0.3 if quick else 15.0, rounds=(3, 31))
    return {
        key: Times(tuple(second / sizes[name] for second in times[name].seconds))
        for key in ways
        for name in ["/".join(map(str, key))]
    }


def block(way: Any, feed: Any, steps: int, count: int) -> Callable[[], None]:
    """`steps` steps in a row: a cell gets `feed` every time, a writer the word that it drew."""
    draws = isinstance(feed, int)

    def run() -> None:
        with threads(count):
            if hasattr(way, "many"):
                way.many(feed, steps)
                return
            x = feed
            for _ in range(steps):
                y = way.step(x)
                x = y if draws else x

    return run


def best(times: Mapping[tuple[str, int], Times], groups: Mapping[str, str]) -> dict[str, tuple[Times, str]]:
    """The fastest of each group of ways, and which it is."""
    found: dict[str, tuple[Times, str]] = {}
    for (name, count), each in times.items():
        group, label = (
            groups.get(name, name),
            f"{name}, {count} threads" if count > 1 else f"{name}, 1 thread",
        )
        if group not in found or each.median < found[group][0].median:
            found[group] = each, label
    return found


def check(ways: Mapping[tuple[str, int], Any], feeds: list[Any], seen: str) -> None:
    """Hold every way to the first over a few steps, from the same start."""
    wanted: Array | None = None
    for (name, count), way in ways.items():
        with torch.inference_mode():
            found = np.stack([np.array(getattr(way, seen)(feed)) for feed in feeds])
        wanted = found if wanted is None else wanted
        allowed = FOUR_BITS if "int4" in name else COARSE if "int" in name else EXACT
        difference = float(np.abs(found - wanted).max() / np.abs(wanted).max())
        if not difference <= allowed:
            raise SystemExit(f"{name} on {count} threads differs by {difference:.1e} of the largest output")


def line(what: Row, found: Mapping[str, tuple[Times, str]]) -> Row:
    """Microseconds of each way, and how many times as fast each is as LSTMCell, and as ONNX Runtime int8."""
    made = what | {f"{name}, µs": 1e6 * each.median for name, (each, _) in found.items()}
    for peer in ("LSTMCell", "ORT int8"):
        for name, (each, _) in found.items():
            if peer in found and name != peer and (name.startswith("recurra") or peer == "LSTMCell"):
                made[f"× {peer}: {name}"] = found[peer][0].median / each.median
    return made


def fastest_read(size: int, counts: tuple[int, ...]) -> float:
    """GB/s of reading `size` bytes again and again, with the better number of threads."""
    rates = []
    for count in counts:
        with threads(count):
            rates.append(read_rate(size))
    return max(rates)


def steps_row(units: int, counts: tuple[int, ...], quick: bool) -> tuple[Row, str]:
    """One LSTM step of this size on every way."""
    cell = LSTM(units, units).eval()
    x = np.random.default_rng(0).standard_normal((8, units), np.float32)
    peers: dict[str, Callable[[int], Any]] = {
        "LSTMCell": lambda _: TorchCell(cell),
        "nn.LSTM": lambda _: TorchLayer(cell),
    }
    groups: dict[str, str] = {}
    for kind in ("float32", "int8"):
        for form in onnx_steps.FORMS:
            name = f"ORT {kind} ({form})"
            groups[name] = f"ORT {kind}"
            peers[name] = onnx_steps.cell_maker(cell, form, kind)
    for kind in ("float32", "int8", "int4"):
        peers[f"recurra {kind}"] = lambda count, kind=kind: EngineCell(cell, kind, count)  # type: ignore[misc]
    ways = candidates(peers, counts)
    check(ways, list(x), "step")
    loops = {
        f"recurra {kind}, own loop": lambda count, kind=kind: engine_loop(cell, kind, count)  # type: ignore[misc]
        for kind in ("float32", "int8", "int4")
    }
    ways |= candidates(loops, counts)
    found = best(timed(ways, x[0], quick=quick), groups)
    size = 4 * (cell.weight_ih.numel() + cell.weight_hh.numel())
    made = line({"H": units, "MB": size / 1e6}, found)
    rate = fastest_read(size, counts)
    made["read, GB/s"] = rate
    for name in ("LSTMCell", "ORT float32", "recurra float32", "recurra float32, own loop"):
        if name in found:
            made[f"{name}, % of it"] = 100 * size / found[name][0].median / 1e9 / rate
    return made, f"H {units}: " + "; ".join(label for _, label in found.values())


def words_row(counts: tuple[int, ...], quick: bool) -> tuple[Row, str]:
    """The token loop on every way."""
    layers = [LSTM(UNITS, UNITS), LSTM(UNITS, UNITS)]
    network = TokenNetwork(
        Embedding(VOCABULARY, UNITS), Recurrent(layers), SoftmaxHead(UNITS, VOCABULARY)
    ).eval()
    peers: dict[str, Callable[[int], Any]] = {"LSTMCell": lambda _: TorchWriter(network)}
    groups: dict[str, str] = {}
    for form in onnx_steps.FORMS:
        name = f"ORT int8 ({form})"
        groups[name], make = "ORT int8", onnx_steps.network_maker(network, form, "int8")
        peers[name] = lambda count, make=make: OnnxWriter(make(count))  # type: ignore[misc]
    for kind in ("float32", "int8", "int4"):
        peers[f"recurra {kind}"] = lambda count, kind=kind: EngineWriter(network, kind, count)  # type: ignore[misc]
    ways = candidates(peers, counts)
    check(ways, [3, 1, 4, 1, 5, 9, 2, 6], "scores")
    found = best(timed(ways, 0, quick=quick), groups)
    made = line({"words": VOCABULARY, "LSTM": f"2 × {UNITS}"}, found)
    return made, "words: " + "; ".join(label for _, label in found.values())


def many_rows(count: int, quick: bool) -> list[Row]:
    """64 sessions of the network of the token loop, and one."""
    layers = [LSTM(UNITS, UNITS), LSTM(UNITS, UNITS)]
    network = TokenNetwork(
        Embedding(VOCABULARY, UNITS), Recurrent(layers), SoftmaxHead(UNITS, VOCABULARY)
    ).eval()
    rows: list[Row] = []
    for kind in ("float32", "int8", "int4"):
        engine = Engine(pack(network, kind, bound=1.0), threads=count)
        sessions = [
            engine.session(sampling=Sampling(temperature=TEMPERATURE), seed=each) for each in range(MANY + 1)
        ]
        for each in sessions:
            each.read(np.array([0]))
        one, rest = sessions[0], sessions[1:]
        steps = 2 if quick else 20

        def alone_(one: Session = one, steps: int = 4 * steps) -> None:
            one.generate(steps)

        def together_(engine: Engine = engine, rest: list[Session] = rest, steps: int = steps) -> None:
            for _ in range(steps):
                engine.advance(rest)

        times = take_turns({"one": alone_, "many": together_}, budget=0.3 if quick else 10.0, rounds=(3, 31))
        alone, together = 4 * steps / times["one"].median, MANY * steps / times["many"].median
        row: Row = {
            "weights": kind,
            "one, words/s": alone,
            f"{MANY}, words/s": together,
            "×": together / alone,
        }
        for name, rate in (("one", alone), (f"{MANY}", together)):
            row[f"{name}, 10⁹ multiplications/s"] = rate * MULTIPLICATIONS / 1e9
        rows.append(row)
    return rows


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--hidden", type=int, nargs="+", default=HIDDEN, metavar="H")
    made.add_argument("--only", choices=("steps", "words", "many"))
    options: argparse.Namespace = parse(made)
    counts = tuple(sorted({1, options.threads}))
    sizes = (16,) if options.quick else options.hidden
    name = options.json
    if options.only in (None, "steps"):
        rows, notes = zip(*(steps_row(units, counts, options.quick) for units in sizes), strict=True)
        report(options, rows, notes)
    if options.only in (None, "words"):
        row, note = words_row(counts, options.quick)
        options.json = name and name.with_stem(f"{name.stem}-words")
        report(options, [row], [note])
    if options.only in (None, "many"):
        options.json = name and name.with_stem(f"{name.stem}-many")
        report(options, many_rows(options.threads, options.quick), [f"{options.threads} threads"])


if __name__ == "__main__":
    main()
