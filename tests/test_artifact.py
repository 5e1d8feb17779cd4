"""The model folder: what goes in comes out, nothing else is read, and no crash costs a model."""

from __future__ import annotations

import json
import math
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recurra import __version__, artifact
from recurra.artifact import load_model, save_model
from recurra.errors import ModelError, RecurraError, UsageError
from recurra.sources.files import atomic_write

# Few examples: each waits for the disk several times.
one_folder = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
FILES = ["config.json", "weights.safetensors", "README.md"]


def save(folder: Path, number: int = 1, **changes: Any) -> None:
    given: dict[str, Any] = {
        "kind": "Toy",
        "arguments": {"horizon": 28, "quantiles": [0.1, 0.9]},
        "fitted": {"scale": number, "ids": ["a", "ß"]},
        "weights": {"w": np.full((2, 3), number, np.float32), "n": np.arange(4)},
        "card": f"# Toy {number}\n",
    }
    save_model(folder, **(given | changes))


class Network:
    """What stands for a packed network: it writes itself."""

    def __init__(self, number: int) -> None:
        self.number = number

    def save(self, path: str | os.PathLike[str], /) -> None:
        with atomic_write(path) as fresh:
            fresh.write_text(str(self.number))


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
documents = st.dictionaries(st.text(), json_values, max_size=4)
dtypes = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(),
    hnp.unsigned_integer_dtypes(),
    hnp.floating_dtypes(sizes=(16, 32, 64)),
)
shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
names = st.text(min_size=1, max_size=8).filter(lambda name: name != "__metadata__")
arrays = st.dictionaries(names, dtypes.flatmap(lambda dtype: hnp.arrays(dtype, shapes)), max_size=4)


@one_folder
@given(documents, documents, arrays, st.text())
def test_what_goes_in_comes_out(
    tmp_path: Path, arguments: dict[str, Any], fitted: dict[str, Any], weights: dict[str, Any], card: str
) -> None:
    save_model(tmp_path / "m", kind="Toy", arguments=arguments, fitted=fitted, weights=weights, card=card)
    model = load_model(tmp_path / "m")
    assert (model.kind, model.arguments, model.fitted, model.card) == ("Toy", arguments, fitted, card)
    assert model.weights.keys() == weights.keys()
    for name, array in weights.items():
        found = model.weights[name]
        assert found.dtype == array.dtype.newbyteorder("=")
        np.testing.assert_array_equal(found, array)


def test_the_folder_is_as_documented(tmp_path: Path) -> None:
    save(tmp_path / "new" / "shop")
    assert sorted(content(tmp_path / "new" / "shop")) == sorted(FILES)
    assert json.loads((tmp_path / "new" / "shop" / "config.json").read_bytes()) == {
        "format": "recurra-model",
        "version": 1,
        "recurra": __version__,
        "class": "Toy",
        "arguments": {"horizon": 28, "quantiles": [0.1, 0.9]},
        "fitted": {"scale": 1, "ids": ["a", "ß"]},
    }
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["shop"]


def test_arrays_come_back_whatever_their_memory(tmp_path: Path) -> None:
    whole = np.arange(12.0).reshape(3, 4)
    given = {"t": whole.T, "part": whole[::2, ::-1], "big": whole.astype(">f4"), "scalar": np.array(2.0)}
    save(tmp_path / "m", weights=given)
    found = load_model(tmp_path / "m").weights
    for name, array in given.items():
        np.testing.assert_array_equal(found[name], array)
    found["t"][:] = 0  # the arrays are the reader's own


def test_numpy_scalars_and_tuples_become_plain(tmp_path: Path) -> None:
    save(tmp_path / "m", fitted={"a": np.float32(0.5), "b": (np.int64(3), np.True_), "c": np.str_("x")})
    assert load_model(tmp_path / "m").fitted == {"a": 0.5, "b": [3, True], "c": "x"}


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (math.nan, r"fitted\.x cannot be kept.*nan"),
        (np.inf, r"fitted\.x cannot be kept.*inf"),
        (object, r"fitted\.x cannot be kept"),
        ([1, {2: 3}], r"fitted\.x\[1\] has a key that is no text.*2"),
        (10**2000, r"fitted\.x is a number too large"),
        ("\ud800", "no valid Unicode"),
    ],
)
def test_what_a_folder_cannot_hold_is_refused_before_anything_is_written(
    tmp_path: Path, value: object, what: str
) -> None:
    save(tmp_path / "m")
    before = content(tmp_path / "m")
    with pytest.raises(ModelError, match=what):
        save(tmp_path / "m", fitted={"x": value})
    assert content(tmp_path / "m") == before


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([1j]), np.array([object()]), np.array([{}])])
def test_arrays_of_other_types_are_refused(tmp_path: Path, array: Any) -> None:
    with pytest.raises(ModelError, match="type of the weights 'w'"):
        save(tmp_path / "m", weights={"w": array})
    assert not (tmp_path / "m").exists()


# Packed networks


def test_packed_networks_stand_beside_the_weights(tmp_path: Path) -> None:
    save(tmp_path / "m", packed={"read": Network(1), "answer": Network(2)})
    assert sorted(content(tmp_path / "m")) == sorted([*FILES, "answer.packed", "read.packed"])
    found = load_model(tmp_path / "m").packed
    assert {name: path.read_text() for name, path in found.items()} == {"answer": "2", "read": "1"}
    save(tmp_path / "m", packed={"read": Network(3)})
    assert load_model(tmp_path / "m").packed == {"read": tmp_path / "m" / "read.packed"}
    save(tmp_path / "m")
    assert load_model(tmp_path / "m").packed == {}
    assert sorted(content(tmp_path / "m")) == sorted(FILES)


def test_a_packed_network_that_cannot_be_written_leaves_the_old_model(tmp_path: Path) -> None:
    class Full(Network):
        def save(self, path: str | os.PathLike[str], /) -> None:
            raise OSError(28, "No space left on device")

    save(tmp_path / "m", packed={"read": Network(1)})
    before = content(tmp_path / "m")
    with pytest.raises(RecurraError, match="No space left on device"):
        save(tmp_path / "m", 2, packed={"read": Network(2), "write": Full(2)})
    assert content(tmp_path / "m") == before
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_tokenizer_stands_beside_the_weights(tmp_path: Path) -> None:
    save(tmp_path / "m", tokenizer='{"of": "ß"}')
    assert sorted(content(tmp_path / "m")) == sorted([*FILES, "tokenizer.json"])
    assert load_model(tmp_path / "m").tokenizer == '{"of": "ß"}'
    save(tmp_path / "m")
    assert load_model(tmp_path / "m").tokenizer is None
    assert sorted(content(tmp_path / "m")) == sorted(FILES)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")
def test_a_pipe_is_no_packed_network(tmp_path: Path) -> None:
    save(tmp_path / "m")
    os.mkfifo(tmp_path / "m" / "read.packed")
    with pytest.raises(ModelError, match=r"read\.packed: this is not a regular file"):
        load_model(tmp_path / "m")


# What must not be overwritten


def test_only_models_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="this is a file"):
        save(tmp_path / "file")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_text("mine")
    with pytest.raises(UsageError, match=r"something else than a model.*a\.jpg"):
        save(tmp_path / "photos")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "config.json").write_text('{"format": "another"}')
    with pytest.raises(UsageError, match="not a recurra model's"):
        save(tmp_path / "app")
    save(tmp_path / "shop")
    (tmp_path / "shop" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"no part of a model.*notes\.txt"):
        save(tmp_path / "shop", 2)
    assert (tmp_path / "photos" / "a.jpg").read_text() == "mine"
    assert load_model(tmp_path / "shop").fitted["scale"] == 1


def test_models_and_empty_folders_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    save(tmp_path / "empty", 1)
    (tmp_path / "empty" / ".DS_Store").write_text("")
    save(tmp_path / "empty", 2)
    assert load_model(tmp_path / "empty").card == "# Toy 2\n"
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
def test_a_link_stays_a_link(tmp_path: Path) -> None:
    save(tmp_path / "real", 1)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    save(tmp_path / "link", 2)
    assert (tmp_path / "link").is_symlink()
    assert load_model(tmp_path / "real").fitted["scale"] == 2


# Crashes


def calls_of(monkeypatch: pytest.MonkeyPatch, names: list[str], hook: Callable[[], None]) -> None:
    for name in names:
        real = getattr(os, name)

        def watched(*args: Any, real: Any = real, **options: Any) -> Any:
            hook()
            return real(*args, **options)

        monkeypatch.setattr(os, name, watched)


def test_at_every_moment_of_a_save_the_old_or_the_new_model_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "m", 1, packed={"read": Network(1)})
    seen: list[int] = []

    def look() -> None:
        # A copy of the disk as a power failure would leave it here.
        copy = tmp_path.with_name(tmp_path.name + f"-{len(seen)}")
        shutil.copytree(tmp_path, copy)
        model = load_model(copy / "m")
        seen.append(model.fitted["scale"])
        assert model.packed["read"].read_text() == str(seen[-1])
        save(copy / "m", 3)
        assert load_model(copy / "m").fitted["scale"] == 3
        assert not (copy / ".m.old").exists()

    real = {name: getattr(os, name) for name in ("replace", "fsync", "rmdir")}
    with monkeypatch.context() as patched:

        def hook() -> None:
            with monkeypatch.context() as plain:
                for name, function in real.items():
                    plain.setattr(os, name, function)
                look()

        calls_of(patched, list(real), hook)
        save(tmp_path / "m", 2, packed={"read": Network(2)})
    assert load_model(tmp_path / "m").fitted["scale"] == 2
    assert len(seen) >= 6
    assert seen == sorted(seen)
    assert set(seen) == {1, 2}


@pytest.mark.parametrize(
    ("call", "number", "left"),
    [
        ("fsync", 0, 1),
        ("fsync", 1, 1),
        ("fsync", 2, 1),
        ("replace", 0, 1),
        ("replace", 1, 1),
        pytest.param("fsync", 3, 1, marks=pytest.mark.skipif(os.name != "posix", reason="files only")),
        pytest.param("fsync", 4, 2, marks=pytest.mark.skipif(os.name != "posix", reason="files only")),
    ],
)
def test_a_full_disk_leaves_a_whole_model_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, left: int
) -> None:
    save(tmp_path / "m", 1)
    calls = iter(range(100))
    real = getattr(os, call)

    def full(*args: Any) -> Any:
        if next(calls) == number:
            raise OSError(28, "No space left on device")
        return real(*args)

    with monkeypatch.context() as patched:
        patched.setattr(os, call, full)
        with pytest.raises(RecurraError, match="No space left on device"):
            save(tmp_path / "m", 2)
    model = load_model(tmp_path / "m")
    assert (model.fitted["scale"], model.card) == (left, f"# Toy {left}\n")
    assert not list(tmp_path.glob(".m.new*"))


# Damage


def edited(folder: Path, **changes: Any) -> Path:
    save(folder)
    config = json.loads((folder / "config.json").read_bytes()) | changes
    (folder / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v is not None}))
    return folder


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such model folder"):
        load_model(tmp_path / "m")
    (tmp_path / "f").write_text("")
    with pytest.raises(ModelError, match="this is a file"):
        load_model(tmp_path / "f")
    with pytest.raises(ModelError, match=r"config\.json: the model folder lacks this file"):
        load_model(tmp_path)
    save(tmp_path / "m")
    (tmp_path / "m" / "weights.safetensors").unlink()
    with pytest.raises(ModelError, match=r"weights\.safetensors: the model folder lacks this file"):
        load_model(tmp_path / "m")


def test_a_missing_card_is_no_harm(tmp_path: Path) -> None:
    save(tmp_path / "m")
    (tmp_path / "m" / "README.md").unlink()
    assert load_model(tmp_path / "m").card == ""


def test_a_newer_model_says_to_upgrade(tmp_path: Path) -> None:
    folder = edited(tmp_path / "m", version=2, recurra="9.1")
    with pytest.raises(ModelError, match=rf"newer recurra \(9\.1.*{__version__}.*pip install --upgrade"):
        load_model(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "pickle"},
        {"format": None},
        {"version": None},
        {"version": 0},
        {"version": True},
        {"version": "1"},
        {"class": None},
        {"class": 3},
        {"arguments": []},
        {"fitted": None},
    ],
)
def test_a_wrong_config_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"config\.json"):
        load_model(edited(tmp_path / "m", **changes))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe{}",
        b'{"a": NaN}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a":' * 70 + b"1" + b"}" * 70,
        b"1" * 10_000,
        b'{"a": ' + b"1" * 4000 + b"}",
    ],
)
def test_a_config_that_is_no_plain_json_is_refused(tmp_path: Path, text: bytes) -> None:
    save(tmp_path / "m")
    (tmp_path / "m" / "config.json").write_bytes(text)
    with pytest.raises(ModelError, match=r"config\.json: the file is damaged"):
        load_model(tmp_path / "m")


def header(entry: dict[str, Any], body: bytes = b"", length: int | None = None) -> bytes:
    text = json.dumps(entry).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


@pytest.mark.parametrize(
    "weights",
    [
        b"",
        b"\1\0\0",
        header({}, length=2**63),
        header({}, length=2**20),
        header({"w": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}),
        header({"w": {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 4]}}, b"\0" * 4),
        header({"w": {"dtype": "F32", "shape": [0, 2**62], "data_offsets": [0, 0]}}),
        header({"w": {"dtype": "F32", "shape": [1] * 100, "data_offsets": [0, 4]}}, b"\0" * 4),
        header({"w": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}, b"\0" * 2),
        header({"w": {"dtype": "C64", "shape": [1], "data_offsets": [0, 8]}}, b"\0" * 8),
        header({"w": {"dtype": "F8_E4M3", "shape": [1], "data_offsets": [0, 1]}}, b"\0"),
        header({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, b"\0" * 5),
        header({"w": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, b"\0" * 4),
    ],
)
def test_wrong_weights_are_refused(tmp_path: Path, weights: bytes) -> None:
    save(tmp_path / "m")
    (tmp_path / "m" / "weights.safetensors").write_bytes(weights)
    with pytest.raises(ModelError, match=r"weights\.safetensors: the file"):
        load_model(tmp_path / "m")


def test_files_too_large_are_not_read(tmp_path: Path) -> None:
    save(tmp_path / "m")
    for name, limit in [("config.json", artifact.MAX_TEXT), ("weights.safetensors", artifact.MAX_WEIGHTS)]:
        kept = (tmp_path / "m" / name).read_bytes()
        os.truncate(tmp_path / "m" / name, limit + 1)  # sparse: takes no room
        with pytest.raises(ModelError, match=rf"{name}: the file is larger than"):
            load_model(tmp_path / "m")
        (tmp_path / "m" / name).write_bytes(kept)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")
@pytest.mark.parametrize("name", FILES)
def test_a_pipe_is_not_waited_for(tmp_path: Path, name: str) -> None:
    save(tmp_path / "m")
    (tmp_path / "m" / name).unlink()
    os.mkfifo(tmp_path / "m" / name)
    with pytest.raises(ModelError, match="not a regular file"):
        load_model(tmp_path / "m")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_of_any_kind_raises_nothing_but_a_model_error(tmp_path: Path, data: st.DataObject) -> None:
    if not (tmp_path / "m").exists():
        save(tmp_path / "m")
    path = tmp_path / "m" / data.draw(st.sampled_from(FILES))
    whole = path.read_bytes()
    start = data.draw(st.integers(0, len(whole)))
    stop = data.draw(st.integers(start, min(len(whole), start + 12)))
    piece = data.draw(st.binary(max_size=12) | st.sampled_from([whole[:40], whole[-40:]]))
    damaged = whole[:start] + piece + whole[stop:]
    path.write_bytes(damaged[: data.draw(st.none() | st.integers(0, len(damaged)))])
    try:
        model = load_model(tmp_path / "m")
    except ModelError as error:
        assert str(tmp_path / "m") in str(error)  # noqa: PT017
    else:
        assert isinstance(model.kind, str)
        assert isinstance(model.arguments, dict)
        assert isinstance(model.fitted, dict)
        assert all(isinstance(array, np.ndarray) for array in model.weights.values())
    finally:
        path.write_bytes(whole)


@one_folder
@given(st.sampled_from(FILES[:2]), st.binary(max_size=200))
def test_any_bytes_raise_nothing_but_a_model_error(tmp_path: Path, name: str, content: bytes) -> None:
    if not (tmp_path / "m").exists():
        save(tmp_path / "m")
    path = tmp_path / "m" / name
    whole = path.read_bytes()
    path.write_bytes(content)
    try:
        load_model(tmp_path / "m")
    except ModelError:
        return
    finally:
        path.write_bytes(whole)
    assert name == "weights.safetensors"  # an empty table of contents is a valid one


def test_reading_a_model_needs_no_torch() -> None:
    code = (
        "import sys, recurra.artifact; sys.exit('torch' in sys.modules or 'safetensors.torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
