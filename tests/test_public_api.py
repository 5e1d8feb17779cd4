"""The public names, written out: whoever changes what users may rely on must change this file, and CHANGELOG.md."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import recurra
from recurra import Forecaster, StockPlan


def documented(title: str) -> list[str]:
    """The names in a table of docs/extending.md: a cell's or a block's line there is what makes it public."""
    page = (Path(__file__).parents[1] / "docs/extending.md").read_text(encoding="utf-8")
    section = page.partition(f"\n# {title}\n")[2].partition("\n# ")[0]
    return re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE)


NAMES = {
    "recurra": [
        "Forecaster",
        "Keyboard",
        "LanguageModel",
        "ProductionPlan",
        "StockPlan",
        "Tagger",
        "TextClassifier",
        "__version__",
        "load",
        "plan_production",
    ],
    "recurra.cell": ["Cell", "GatedCell", "LinearCell", "MemoryCell", "Terms", "Windowed"],
    "recurra.cells": ["CELLS", *documented("The cells")],
    "recurra.decoding": [
        "Chain",
        "Hypothesis",
        "Random",
        "Sampling",
        "StopStrings",
        "Utf8",
        "beam_search",
        "choose",
        "unpack",
    ],
    "recurra.errors": [
        "InputError",
        "MissingExtraError",
        "ModelError",
        "NotFittedError",
        "RecurraError",
        "UsageError",
    ],
    "recurra.forecasting": ["Forecaster", "ProductionPlan", "StockPlan", "plan_production"],
    "recurra.language.generation": ["LanguageModel", "Score"],
    "recurra.language.suggestion": ["Keyboard", "Personal", "Suggestion"],
    "recurra.language.tagging": ["TaggedWord", "Tagger"],
    "recurra.language.classification": ["Evaluation", "Explanation", "TextClassifier"],
    "recurra.networks": [
        "AdaptiveSoftmaxHead",
        "Attention",
        "AttentionDecoder",
        "CharacterFeatures",
        "DecoderState",
        "Embedding",
        "LinearChainCRF",
        "Memory",
        "QuantileHead",
        "Recurrent",
        "SampledSoftmax",
        "SoftmaxHead",
        "TokenNetwork",
    ],
    "recurra.networks.blocks": ["BLOCKS", *documented("The blocks")],
    "recurra.nn": ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell"],
    "recurra.nn.onnx": ["export", "export_step"],
    "recurra.sources": ["Source"],
    "recurra.streaming.bidirectional": ["Layers"],
    "recurra.streaming.pack": ["BOUNDS", "Agreement", "agreement", "pack", "store"],
    "recurra.streaming.pack_layers": ["pack_layers"],
    "recurra.streaming.packed": ["BOUNDS", "Packed", "PackedMatrix", "parse", "stored"],
    "recurra.streaming.run": ["Engine", "Session"],
    "recurra.streaming.stepper": ["Stepper"],
    "recurra.text.copies": ["Copy", "CopyIndex"],
    "recurra.text.corpus": ["Corpus", "Part"],
    "recurra.text.documents": ["Document", "Documents", "Files", "Texts"],
    "recurra.text.tokenizer": ["Tokenizer"],
    "recurra.training": ["Batch", "Outcome", "Problem", "Recipe", "Source", "train"],
}
FORECASTER_ARGUMENTS = [
    "horizon",
    "cell",
    "hidden_size",
    "layers",
    "embedding_size",
    "dropout",
    "steps",
    "batch_size",
    "learning_rate",
    "patience",
    "columns",
    "frequency",
    "date_format",
    "decimal",
    "unit",
    "negative",
    "cancellations",
    "gaps",
    "static",
    "past",
    "future",
    "stock_out",
    "holidays",
    "view",
    "seed",
]
FORECASTER_METHODS = [
    "check_arguments",
    "fit",
    "forecast",
    "get_params",
    "load",
    "pack",
    "plan_stock",
    "predict",
    "read",
    "save",
    "set_params",
    "simulate",
    "training_facts",
    "update",
]


@pytest.mark.parametrize("module", NAMES)
def test_the_public_names_are_these(module: str) -> None:
    imported = importlib.import_module(module)
    assert sorted(imported.__all__) == sorted(NAMES[module])
    for name in NAMES[module]:
        assert getattr(imported, name) is not None


def test_the_front_door_shows_what_it_offers() -> None:
    assert dir(recurra) == sorted(recurra.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Oracle'"):
        recurra.Oracle  # noqa: B018


def test_both_doors_lead_to_the_same_class() -> None:
    assert recurra.Forecaster is importlib.import_module("recurra.forecasting").Forecaster
    assert recurra.load is importlib.import_module("recurra.estimator").load


def test_a_forecaster_takes_these_arguments() -> None:
    assert list(inspect.signature(Forecaster).parameters) == FORECASTER_ARGUMENTS
    assert list(Forecaster().get_params()) == FORECASTER_ARGUMENTS


def test_a_forecaster_has_these_methods() -> None:
    public = [name for name, _ in inspect.getmembers(Forecaster, callable) if not name.startswith("_")]
    assert public == FORECASTER_METHODS


@pytest.mark.parametrize("name", [name for names in NAMES.values() for name in names])
def test_every_public_class_and_function_says_what_it_is(name: str) -> None:
    for module in (module for module, names in NAMES.items() if name in names):
        thing = getattr(importlib.import_module(module), name)
        if not (inspect.isclass(thing) or inspect.isfunction(thing)):
            continue
        # A dataclass without words gets its signature for a docstring.
        words = vars(thing).get("__doc__") if inspect.isclass(thing) else thing.__doc__
        assert words
        assert not words.startswith(f"{name}(")
        members = vars(thing).items() if inspect.isclass(thing) else ()
        for member, value in members:
            if not member.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)):
                assert inspect.getdoc(getattr(thing, member)), f"{name}.{member}"


def test_every_module_says_what_is_in_it() -> None:
    # recurra.cli.__main__ runs the program when it is imported, recurra._native is compiled.
    apart = {"recurra.cli.__main__", "recurra._native"}
    modules = {module.name for module in pkgutil.walk_packages(recurra.__path__, "recurra.")} - apart
    assert "recurra.ops.dense.reference" in modules
    assert [name for name in sorted(modules) if not importlib.import_module(name).__doc__] == []


def test_a_stock_plan_holds_these_fields() -> None:
    fields = ["frame", "items", "terms", "rule", "notes"]
    assert [field.name for field in dataclasses.fields(StockPlan)] == fields
