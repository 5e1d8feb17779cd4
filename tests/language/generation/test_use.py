"""What a trained model is used for beside plain writing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra import LanguageModel
from recurra.errors import InputError, UsageError
from recurra.language.generation.recent import Recent

TALE = "The old ship went out to sea. The captain saw the storm and was calm. The sea was dark and cold. "
POST = "Buy our lamps today! A lamp for every room, a light for every night. "


@pytest.mark.parametrize("topics", [["lamp"], ["violet umbrellas", "storm"], ["Zürich", "tea", "sea"]])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_topic_appears(model: LanguageModel, topics: list[str], seed: int) -> None:
    for text in model.generate("The", topics=topics, max_tokens=40, seed=seed, n=2, temperature=1.0):
        for topic in topics:
            assert re.search(rf"(?i)(?<!\w){topic}(?!\w)", text), text
        assert len(model.encode(text)) <= 44


def test_a_topic_comes_where_it_is_likely(model: LanguageModel) -> None:
    text = model.generate("The old ship went out to", topics=["captain"], temperature=0, max_tokens=12)
    assert "The captain" in text


def test_topics_that_do_not_fit_are_refused(model: LanguageModel) -> None:
    with pytest.raises(UsageError, match="the topics need"):
        model.generate("The", topics=["incomprehensibilities"] * 3, max_tokens=5)
    with pytest.raises(UsageError, match="a list of words"):
        model.generate("The", topics="sea")
    with pytest.raises(UsageError, match="topics and recent"):
        model.generate("The", topics=["sea"], recent=0.1)


@pytest.mark.parametrize("pattern", [r"[0-9]{4}-[0-9]{2}", r"(yes|no), (the sea|a lamp)\.", r"é+ü?"])
def test_a_pattern_is_matched(model: LanguageModel, pattern: str) -> None:
    for text in model.generate(
        "The date:", pattern=pattern, n=3, temperature=1.5, max_tokens=60, seed=4, top_p=1.0
    ):
        assert re.fullmatch(pattern, text), text


def test_a_schema_is_followed(model: LanguageModel) -> None:
    schema = {
        "type": "object",
        "properties": {
            "name": {"enum": ["ship", "lamp"]},
            "price": {"type": "integer", "maximum": 99, "minimum": 0},
        },
        "required": ["name", "price"],
        "additionalProperties": False,
    }
    found = json.loads(model.generate("Buy", schema=schema, max_tokens=200, temperature=0.5))
    assert found["name"] in ("ship", "lamp")
    assert 0 <= found["price"] <= 99


def test_a_text_that_cannot_match_in_time_is_no_text(model: LanguageModel) -> None:
    with pytest.raises(InputError, match="cut off before the grammar's end"):
        model.generate("The", pattern=r"[a-z]{50}", max_tokens=3)
    with pytest.raises(InputError, match="maxLength for strings"):
        model.generate("The", schema={"type": "string", "minLength": 50}, max_tokens=3)
    with pytest.raises(UsageError, match=r"the pattern cannot be used: unclosed group \(found '\('\)"):
        model.generate("The", pattern="(")
    with pytest.raises(UsageError, match="schema"):
        model.generate("The", schema="{")


def test_a_space_at_the_prompts_end_belongs_to_the_next_word(model: LanguageModel) -> None:
    with_space = model.generate("The old ship went ", temperature=0, max_tokens=8)
    assert " " + with_space == model.generate("The old ship went", temperature=0, max_tokens=8)


def test_words_are_suggested(model: LanguageModel) -> None:
    words = model.suggest("The old ship", k=3)
    assert words[0][0] == "went"
    assert 0.3 < words[0][1] <= 1
    assert sum(chance for _, chance in words) <= 1 + 1e-6
    assert model.suggest("The old", "sh")[0][0] == "ship"
    assert all(word.startswith("c") for word, _ in model.suggest("The", "c", k=5))
    assert model.suggest("", "Th")[0][0] == "The"
    with pytest.raises(UsageError):
        model.suggest("a", k=0)


def test_beam_finds_what_is_most_probable(model: LanguageModel) -> None:
    texts = model.beam("The old ship went out to", max_tokens=20, n=2, kind="tale")
    assert texts[0].startswith(" sea. ")
    assert len(set(texts)) == len(texts)


def test_a_cache_makes_what_came_before_likely(model: LanguageModel) -> None:
    text = "Zanzibar lemon. " * 12
    plain, cached = model.score(text), model.score(text, recent=0.3)
    assert cached.total < plain.total
    assert model.score(text, recent=1e-60).total == pytest.approx(plain.total, rel=1e-3)
    one = model.generate("The", recent=0.2, seed=3, max_tokens=20)
    assert one == model.generate("The", recent=0.2, seed=3, max_tokens=20)
    with pytest.raises(UsageError, match="recent must be"):
        model.generate("The", recent=1.0)


@given(st.integers(0, 30), st.floats(0.01, 0.9), st.integers(1, 8), st.integers(0, 99))
def test_a_cache_is_the_papers(count: int, share: float, words: int, seed: int) -> None:
    draws = np.random.default_rng(seed)
    recent = Recent(share, flatness=0.5, words=words)
    known: list[tuple[Any, int]] = []
    for _ in range(count):
        known.append((draws.normal(size=3).astype(np.float32), int(draws.integers(5))))
        recent.remember(*known[-1])
    log, state = np.log(draws.dirichlet(np.ones(5))), draws.normal(size=3).astype(np.float32)
    expected = np.exp(log)
    if known:
        weights = np.zeros(5)
        for each, token in known[-words:]:
            weights[token] += np.exp(0.5 * float(each @ state))
        expected = (1 - share) * expected + share * weights / weights.sum()
    np.testing.assert_allclose(np.exp(recent.mixed(log, state)), expected, rtol=1e-4)


def test_what_repeats_the_texts_is_found_and_where(model: LanguageModel) -> None:
    text = "Listen: " + (TALE + TALE)[:220] + " And now for something else."
    (found,) = model.copies(text)
    assert text[found.start : found.stop] in TALE * 4
    assert found.words >= 15
    assert found.where == "text 0"
    assert model.copies(text, behind=len(text)) == []
    assert (
        model.copies("Nothing that anybody has ever said to a lamp, or a captain, in a storm at sea. " * 2)
        == []
    )


def test_a_model_adapts_to_other_text(model: LanguageModel, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    mine = LanguageModel.load(tmp_path / "m")
    text = "My grandmother sold violets in Zürich. " * 20
    before, known = mine.score(text).bits_per_byte, mine.score(TALE, kind="tale").bits_per_byte
    mine.adapt(text, passes=3)
    assert mine.score(text).bits_per_byte < 0.5 * before
    assert "Adapted to" in mine.notes_[-1]
    assert mine.score(TALE, kind="tale").bits_per_byte < known + 3
    mine.save(tmp_path / "m")
    assert LanguageModel.load(tmp_path / "m").score(text).bits_per_byte == mine.score(text).bits_per_byte
    with pytest.raises(InputError, match="too little"):
        mine.adapt("short")
    assert model.score(POST, kind="post").bits_per_byte < 2


@given(
    topics=st.lists(st.text(min_size=1, max_size=10).filter(str.strip), min_size=1, max_size=3),
    prompt=st.text(max_size=12),
    seed=st.integers(0, 999),
)
@settings(max_examples=25)
def test_any_topics_appear_after_any_prompt(
    model: LanguageModel, topics: list[str], prompt: str, seed: int
) -> None:
    text = model.generate(prompt, topics=topics, max_tokens=100, seed=seed).lower()
    assert [topic for topic in topics if topic.strip().lower() not in text] == []


@given(context=st.text(max_size=12), prefix=st.text(max_size=6))
@settings(max_examples=40)
def test_suggestions_go_on_from_any_prefix(model: LanguageModel, context: str, prefix: str) -> None:
    found = model.suggest(context, prefix)
    assert all(word.startswith(prefix.strip()) for word, _ in found)
    assert sum(chance for _, chance in found) <= 1 + 1e-6


@given(st.text(max_size=40))
@settings(max_examples=30)
def test_any_text_is_scored_and_gone_on_from(model: LanguageModel, text: str) -> None:
    plain = model.score(text)
    assert len(plain.nats) == len(plain.tokens) == len(model.encode(text))
    assert (plain.nats >= 0).all()
    assert model.score(text, recent=0.1).bytes == len(text.encode())
    assert len(model.generate(text, n=2, max_tokens=3)) == 2
