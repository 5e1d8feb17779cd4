"""The extension in its process: variants, threads, forks, the OpenMP runtime it shares with torch, memory."""

from __future__ import annotations

import gc
import importlib
import inspect
import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from recurra import ops

if not ops.native_available():
    pytest.skip("the extension was not built", allow_module_level=True)

native = importlib.import_module("recurra._native")


def work(seed: int) -> list[torch.Tensor]:
    """What every recurrence gives in training, from inputs of drawn sizes, and all gradients."""
    generator = torch.Generator().manual_seed(seed)
    rows, steps, width = (int(torch.randint(1, most, (), generator=generator)) for most in (5, 7, 24))
    lengths = torch.randint(0, steps + 1, (rows,), generator=generator) if seed % 2 else None
    leaves = []

    def leaf(*shape: int) -> torch.Tensor:
        leaves.append((torch.randn(*shape, generator=generator) * 0.3).requires_grad_())
        return leaves[-1]

    def weights(gates: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return leaf(gates * width, width), leaf(gates * width, width), leaf(gates * width)

    x, h = leaf(rows, steps, width), leaf(rows, width)
    results = [
        *ops.rnn(x, h, ops.RNNWeights(*weights(1)), lengths),
        *ops.gru(x, h, ops.GRUWeights(*weights(3), leaf(width)), lengths),
        *ops.lstm(x, h, h, ops.LSTMWeights(*weights(4)), lengths, reverse=seed % 3 == 0),
        ops.linear_scan(torch.sigmoid(x), x, h, lengths),
    ]
    sum(result.square().sum() for result in results).backward()
    return [result.detach() for result in results] + [leaf.grad for leaf in leaves]


def same(ones: list[torch.Tensor], others: list[torch.Tensor]) -> bool:
    return len(ones) == len(others) and all(map(torch.equal, ones, others))


# The same in processes of their own.
WORK = f"import torch\nfrom recurra import ops\n{inspect.getsource(work)}\n{inspect.getsource(same)}\n"


def run(program: str, first: str = "torch", **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `program` behind WORK in a process that imports `first` first; with an end to it where it hangs."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RECURRA_")}
    return subprocess.run(
        [sys.executable, "-c", f"import {first}\n{WORK}{textwrap.dedent(program)}"],
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=120,
    )


def says(program: str, first: str = "torch", **variables: str) -> str:
    ended = run(program, first, **variables)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def test_every_processor_runs_the_scalar_variant_and_the_best_is_taken() -> None:
    assert native.variants()[-1] == "scalar"
    assert says("import recurra._native as native; print(native.variant())") == native.variants()[0]


@pytest.mark.parametrize("name", native.variants())
def test_a_variable_forces_a_variant(name: str) -> None:
    assert (
        says("import recurra._native as native; work(0); print(native.variant())", RECURRA_SIMD=name) == name
    )


def test_an_unknown_variant_is_an_error_that_names_the_known() -> None:
    ended = run("work(0)", RECURRA_SIMD="avx3")
    assert ended.returncode == 1
    assert "RECURRA_SIMD must name a variant" in ended.stderr
    assert "'avx3'" in ended.stderr
    assert ", ".join(native.variants()) in ended.stderr


def test_many_threads_at_once_compute_what_one_does_alone() -> None:
    alone = [work(seed) for seed in range(12)]
    with ThreadPoolExecutor(8) as pool:
        assert all(map(same, pool.map(work, [*range(12)] * 3), alone * 3))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_computes_the_same() -> None:
    # torch's own products wait for ever in a child of a process that had two threads: there they may only have one, as
    # in a data loader's workers. Not so the extension's.
    program = """
    import os, warnings
    warnings.simplefilter("ignore", DeprecationWarning)  # from Python 3.12 on: this process has threads
    def scan():
        a, h = torch.full((3, 5, 40), 0.5, requires_grad=True), torch.ones(3, 40, requires_grad=True)
        out = ops.linear_scan(a, a, h)
        out.sum().backward()
        return [out.detach(), a.grad, h.grad]
    torch.set_num_threads(1)
    alone = work(0)
    torch.set_num_threads(2)
    together, _ = scan(), work(0)
    child = os.fork()
    if child == 0:
        well = same(scan(), together)
        torch.set_num_threads(1)
        os._exit(0 if well and same(work(0), alone) else 3)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), same(scan(), together))
    """
    assert says(program) == "0 True"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_worker_of_a_data_loader_computes_the_same() -> None:
    program = """
    import warnings
    warnings.simplefilter("ignore", DeprecationWarning)
    from torch.utils.data import DataLoader
    class Seeds:
        def __len__(self):
            return 8
        def __getitem__(self, seed):
            return work(seed)
    torch.set_num_threads(1)  # as torch gives a worker
    before = [work(seed) for seed in range(8)]
    torch.set_num_threads(2)
    _ = [work(seed) for seed in range(8)]
    loaded = DataLoader(Seeds(), batch_size=None, num_workers=2, multiprocessing_context="fork")
    print(all(map(same, loaded, before)))
    """
    assert says(program) == "True"


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
@pytest.mark.parametrize("first", ["torch", "recurra._native"])
def test_whichever_is_loaded_first_torch_and_the_extension_share_one_openmp(first: str) -> None:
    program = """
    import recurra._native
    from pathlib import Path
    work(0)
    paths = {Path(line.split()[-1]) for line in Path("/proc/self/maps").read_text().splitlines()}
    print(len({path for path in paths if "omp.so" in path.name}))
    """
    assert says(program, first=first) == "1"


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("width", [5, 32])  # filled up to whole vectors, and whole as it is
def test_a_hundred_thousand_training_steps_leak_nothing(width: int) -> None:
    def leaf(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, requires_grad=True)

    x, h = leaf(2, 3, width), leaf(2, width)
    weights = {
        gates: (leaf(gates * width, width), leaf(gates * width, width), leaf(gates * width))
        for gates in (1, 3, 4)
    }
    bias = leaf(width)
    layers = [
        lambda lengths: ops.linear_scan(x, x, h, lengths),
        lambda lengths: ops.linear_scan(x.detach(), x, h, lengths),
        lambda lengths: ops.rnn(x, h, ops.RNNWeights(*weights[1]), lengths)[0],
        lambda lengths: ops.linear_scan(x, x.detach(), h, lengths),
        lambda lengths: ops.gru(x, h, ops.GRUWeights(*weights[3], bias), lengths)[0],
        lambda lengths: ops.linear_scan(x, x, h.detach(), lengths),
        lambda lengths: ops.lstm(x, h, h, ops.LSTMWeights(*weights[4]), lengths)[0],
    ]
    ragged = [None, torch.tensor([3, 1]), None, torch.tensor([0, 2])]

    def train(steps: int) -> int:
        for step in range(steps):
            layers[step % 7](ragged[step % 4]).sum().backward()
        gc.collect()
        return resident()

    before = train(10_000)
    assert train(100_000) - before < 2**22  # 42 bytes a step
