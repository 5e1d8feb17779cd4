"""A run that is killed and resumed ends bit for bit like one that never stopped."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from echo_task import Echo, EchoProblem, SignalSource, run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recurra.errors import ModelError, RecurraError, UsageError
from recurra.training import Recipe, checkpoint, train
from recurra.training.average import snapshot

RECIPE = Recipe(steps=30, warmup=3, evaluate_every=4, checkpoint_seconds=0, average=0.9, learning_rate=0.05)


class Killed(BaseException):
    """Nothing handles it, as nothing handles SIGKILL."""


class Dying(SignalSource):
    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def next(self) -> Any:
        if self.count == self.at:
            raise Killed
        return super().next()


def weights(network: torch.nn.Module) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in snapshot(network).items()}


def metrics(folder: Path) -> list[dict[str, float]]:
    """Every step's line, but for how long it took."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


@pytest.mark.parametrize("deaths", [[1], [4], [13, 14, 29]])
def test_resumed_is_never_stopped(tmp_path: Path, deaths: list[int]) -> None:
    whole, expected = run(RECIPE, tmp_path / "whole")
    network, killed = Echo(), tmp_path / "killed"
    for at in deaths:
        with pytest.raises(Killed):
            train(network, EchoProblem(), Dying(at), RECIPE, folder=killed, resume=True)
        network = Echo(seed=9)  # the checkpoint decides about the weights,
        torch.rand(7)  # and nothing that happens between two runs
    outcome = train(network, EchoProblem(), SignalSource(seed=5), RECIPE, folder=killed, resume=True)
    assert weights(network) == weights(whole)
    assert replace(outcome, seconds=0) == replace(expected, seconds=0)
    assert metrics(killed) == metrics(tmp_path / "whole")


def test_the_best_and_the_patience_are_resumed(tmp_path: Path) -> None:
    recipe = replace(RECIPE, steps=400, learning_rate=0.5, warmup=2, evaluate_every=5, patience=2)
    whole, expected = run(recipe)
    assert expected.stopped == "patience"
    with pytest.raises(Killed):  # between the two evaluations without improvement
        train(Echo(), EchoProblem(), Dying(expected.steps - 2), recipe, folder=tmp_path)
    network, outcome = run(recipe, tmp_path, resume=True)
    assert replace(outcome, seconds=0) == replace(expected, seconds=0)
    assert weights(network) == weights(whole)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no SIGKILL")
def test_sigkill_at_random_moments(tmp_path: Path) -> None:
    recipe = replace(RECIPE, steps=80)
    expected, outcome = run(recipe, tmp_path)
    assert outcome.best_step is not None
    luck = random.Random(os.urandom(8))
    killed = tmp_path / "killed"
    command = [sys.executable, "-W", "error", str(Path(__file__).with_name("echo_task.py")), str(killed)]
    deaths = 0
    for aim in sorted(luck.sample(range(1, 60), 3)):
        process = subprocess.Popen([*command, json.dumps(asdict(recipe))], stdout=subprocess.DEVNULL)
        while process.poll() is None and lines(killed) < aim:
            time.sleep(0.001)
        time.sleep(luck.uniform(0, 0.02))  # in the middle of a step or of writing a checkpoint
        process.send_signal(signal.SIGKILL)
        deaths += process.wait() == -signal.SIGKILL
    subprocess.run([*command, json.dumps(asdict(recipe))], check=True, stdout=subprocess.DEVNULL)
    assert deaths  # on a busy machine a run may end before it is killed
    with np.load(killed / "final.npz") as found:
        assert {name: found[name].tobytes() for name in found} == weights(expected)
    assert metrics(killed) == metrics(tmp_path)
    assert not list(killed.glob(".*"))


def lines(folder: Path) -> int:
    path = folder / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_a_finished_training_resumes_to_the_same_end(tmp_path: Path) -> None:
    network, outcome = run(RECIPE, tmp_path)
    again, after = run(RECIPE, tmp_path, resume=True)
    assert weights(again) == weights(network)
    assert replace(after, seconds=0) == replace(outcome, seconds=0)
    last = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])
    assert after.seconds >= last["seconds"] - 0.001


def test_a_checkpoint_is_not_overwritten_unasked(tmp_path: Path) -> None:
    run(RECIPE, tmp_path)
    before = (tmp_path / checkpoint.FILE).read_bytes()
    with pytest.raises(UsageError, match="resume=True"):
        run(RECIPE, tmp_path)
    assert (tmp_path / checkpoint.FILE).read_bytes() == before


def test_another_training_is_not_resumed(tmp_path: Path) -> None:
    run(RECIPE, tmp_path, fingerprint="sales of 2024")
    with pytest.raises(
        UsageError, match=r"learning_rate was 0\.05 and is now 0\.01; seed was 0 and is now 3"
    ):
        run(replace(RECIPE, learning_rate=0.01, seed=3), tmp_path, resume=True, fingerprint="sales of 2024")
    with pytest.raises(UsageError, match=r"other data or another network.*sales of 2024"):
        run(RECIPE, tmp_path, resume=True, fingerprint="sales of 2025")
    more = replace(RECIPE, max_seconds=1e6, checkpoint_seconds=9.0)
    assert run(more, tmp_path, resume=True, fingerprint="sales of 2024")[1].steps == RECIPE.steps


def test_a_file_is_no_folder_for_checkpoints(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(UsageError, match="checkpoints need a folder"):
        run(RECIPE, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize("ops", ["reference", ""])
def test_other_kernels_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ops: str) -> None:
    monkeypatch.setenv("RECURRA_OPS", "reference")
    run(RECIPE, tmp_path)
    monkeypatch.setenv("RECURRA_OPS", ops)
    with nullcontext() if ops else pytest.warns(UserWarning, match="RECURRA_OPS: reference, now"):
        run(RECIPE, tmp_path, resume=True)


def test_other_threads_are_said(tmp_path: Path) -> None:
    run(RECIPE, tmp_path)
    torch.set_num_threads(2)
    with pytest.warns(UserWarning, match=r"\(threads: 1, now 2\): the result may differ in the last bits"):
        run(RECIPE, tmp_path, resume=True)


def test_a_network_of_another_shape_is_refused(tmp_path: Path) -> None:
    run(RECIPE, tmp_path)
    other = Echo()
    other.head = torch.nn.Linear(8, 1, bias=False)
    other.head.weight = torch.nn.Parameter(torch.zeros(1, 1))
    with pytest.raises(ModelError, match="Delete it to start the training anew"):
        train(other, EchoProblem(), SignalSource(), RECIPE, folder=tmp_path, resume=True)


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 7, b"\xff" * 100, b"\2\0\0\0\0\0\0\0{}", b"not a checkpoint"]
)
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / checkpoint.FILE).write_bytes(content)
    with pytest.raises(ModelError, match=checkpoint.FILE):
        run(RECIPE, tmp_path, resume=True)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("finished")
    run(replace(RECIPE, steps=2), folder)
    return (folder / checkpoint.FILE).read_bytes()


@pytest.mark.filterwarnings("ignore:resumed under other conditions")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_checkpoint_raises_nothing_but_a_clear_error(
    tmp_path: Path, finished: bytes, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, 6000) | st.integers(0, len(finished)))
    stop = start + data.draw(st.integers(0, 20))
    damaged = finished[:start] + data.draw(st.binary(max_size=20)) + finished[stop:]
    cut = data.draw(st.none() | st.integers(0, len(damaged)))
    (tmp_path / checkpoint.FILE).write_bytes(damaged[:cut])
    try:
        _, outcome = run(replace(RECIPE, steps=2), tmp_path, resume=True)
    except RecurraError:
        return
    assert outcome.stopped == "steps"


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_crash_while_writing_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / checkpoint.FILE
    checkpoint.write(path, {"a": torch.ones(2)}, {"n": 1})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, call, full)
        with pytest.raises(RecurraError, match="No space left on device"):
            checkpoint.write(path, {"a": torch.zeros(2)}, {"n": 2})
    tensors, record = checkpoint.read(path, torch.device("cpu"))
    assert (tensors["a"].tolist(), record) == ([1, 1], {"n": 1})
    assert [each.name for each in tmp_path.iterdir()] == [checkpoint.FILE]


def test_tensors_come_back_whatever_their_memory(tmp_path: Path) -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    given = {"t": whole.t(), "row": whole[1], "same": whole, "scalar": torch.tensor(3), "none": whole[:0]}
    checkpoint.write(tmp_path / "c", given, {})
    found, _ = checkpoint.read(tmp_path / "c", torch.device("cpu"))
    assert found.keys() == given.keys()
    assert all(torch.equal(found[name], given[name]) for name in given)


def test_a_torn_line_of_metrics_is_cut_off(tmp_path: Path) -> None:
    run(replace(RECIPE, steps=3), tmp_path)
    whole = metrics(tmp_path)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "loss": 1.0}\n{"step": 5, "lo')
    run(replace(RECIPE, steps=3), tmp_path, resume=True)
    assert metrics(tmp_path) == whole
