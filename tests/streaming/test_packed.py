"""The packed file: what is written is read, as a safetensors file too, and whatever is damaged is an error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from recurra import ops
from recurra.cells import GRU
from recurra.errors import ModelError, UsageError
from recurra.networks import Recurrent
from recurra.streaming.pack import pack
from recurra.streaming.packed import Packed
from recurra.streaming.run import Engine

if not ops.native_available():
    pytest.skip("the extension was not built", allow_module_level=True)

FUZZ = Path(__file__).with_name("fuzz.py")


def network() -> Recurrent:
    generator = torch.Generator().manual_seed(0)
    return Recurrent([GRU(3, 40, generator=generator), GRU(40, 4, generator=generator)]).eval()


@pytest.mark.parametrize("weights", ["float32", "float16", "int8", "int4"])
def test_what_is_saved_is_loaded(weights: str, tmp_path: Path) -> None:
    packed = pack(network(), weights, about={"title": "Zähler"})
    packed.save(tmp_path / "net.packed")
    loaded = Packed.load(tmp_path / "net.packed")
    assert loaded.description == packed.description
    assert loaded.description["about"] == {"weights": weights, "title": "Zähler"}
    x = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    wanted = Engine(packed).session().read(x, every=True)
    np.testing.assert_array_equal(Engine(loaded).session().read(x, every=True), wanted)


def test_it_is_a_safetensors_file_mapped_into_memory(tmp_path: Path) -> None:
    packed = pack(network())
    packed.save(tmp_path / "net.packed")
    with safe_open(tmp_path / "net.packed", framework="numpy") as file:
        assert set(file.keys()) >= {"instructions", "constants", "initial", "0.weights"}
        np.testing.assert_array_equal(file.get_tensor("constants"), packed.constants)
    loaded = Packed.load(tmp_path / "net.packed")
    for array in (loaded.instructions, loaded.constants, *(each.weights for each in loaded.matrices)):
        assert not array.flags.owndata
        assert array.ctypes.data % 64 == 0


def test_packing_again_gives_the_same_file(tmp_path: Path) -> None:
    for name in ("one", "two"):
        pack(network(), "int8").save(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_network_too_far_from_its_source_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"differ from the network's by 0\.\d+ of their size, and 1e-06 is allowed"
    ):
        pack(network(), "int8", bound=1e-6)
    with pytest.raises(UsageError, match="float32, float16, int8, int4"):
        pack(network(), "int3")
    with pytest.raises(UsageError, match=r"\(B, T, I\)"):
        pack(network(), sample=torch.zeros(3, 4))


def test_a_later_version_says_so(tmp_path: Path) -> None:
    packed = pack(network())
    packed.description["version"] = 9
    packed.save(tmp_path / "net.packed")
    with pytest.raises(ModelError, match=r"net\.packed.*version 9, this recurra knows 1"):
        Packed.load(tmp_path / "net.packed")
    packed.description.update(version=1, operations=["levitate", *packed.description["operations"][1:]])
    with pytest.raises(ModelError, match="no operation 'levitate'"):
        Engine(packed)


def test_missing_and_foreign_files_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nothing\.packed"):
        Packed.load(tmp_path / "nothing.packed")
    (tmp_path / "text").write_text("no network")
    with pytest.raises(ModelError, match="no packed network"):
        Packed.load(tmp_path / "text")
    (tmp_path / "empty").touch()
    with pytest.raises(ModelError, match="cannot be read"):
        Packed.load(tmp_path / "empty")


def test_damaged_files_are_errors_and_never_a_crash() -> None:
    """A million are tried by hand: `python tests/streaming/fuzz.py 1000000`."""
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(FUZZ), "1500", "7"]
    done = subprocess.run(command, capture_output=True, text=True, env=one_thread)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "'ran': 0" not in done.stdout
    assert "'refused': 0" not in done.stdout
