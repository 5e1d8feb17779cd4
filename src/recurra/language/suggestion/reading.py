"""A text that is being typed: what has been read of it, and what may come next.

The network says how probable each word is; the words of the text so far and the personal layer, which were met in the
same places, say it too (a cache: Kuhn & De Mori 1990; Grave et al. 2017, arXiv 1612.04426).

A new word costs a step of the network, once; a letter only looks at the words that begin with what is typed.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recurra.language.suggestion.chances import Belief, Chances, best_of
from recurra.language.suggestion.lexicon import START, UNKNOWN, Lexicon, Strangers, folded, is_word, pieces
from recurra.language.suggestion.phrases import LONGEST, Counts, Phrases
from recurra.language.suggestion.writing import Habits, written
from recurra.streaming.packed import Packed
from recurra.streaming.run import Engine, Session
from recurra.text.words import BLANK, BREAK, DIGIT, LETTER, spans

__all__ = ["Reader", "split"]

Floats = NDArray[np.float32]

# How much what was counted is believed: behind n words that stood in the same place, n / (n + DOUBT), by how many words
# of the place are alike. A person's own words are believed sooner.
DOUBT = {0: 2000.0, 1: 30.0, 2: 10.0}
OWN_DOUBT = {0: 1000.0, 1: 4.0, 2: 1.0}
MEMORY = 300.0  # words after which those of the text so far weigh 1/e
PLAUSIBLE = 80  # words that a mistyped prefix may have meant
MISTYPED = 0.01  # how often a letter is mistyped
LEAST_TYPED, LONG_TYPED = 3, 6  # letters from which one mistake is thought of, and two
MOMENTS = 32  # words that can be deleted without reading the text again
SEEN = 10_000  # characters that are read at once: what stands farther before the end says next to nothing
LAST = 160  # characters that have about as many
FITS = 3e-4  # how probable a word is that makes it needless to think of mistakes

_TAIL = re.compile(f"(?:[{DIGIT}]|[{LETTER}]|['’](?=[{LETTER}]))*")  # of a text that is read from its end
_LINE_END = re.compile(f"[{BREAK}][{BREAK}{BLANK}]*$")
_BLANKS = re.compile(f"^[{BREAK}{BLANK}]+")
_BLANK = re.compile(f"[{BREAK}{BLANK}]+")
_ENDS_BLANK = re.compile(f"[{BREAK}{BLANK}]$")
_FAR = 60  # characters, longer than any word that is completed


def split(text: str) -> tuple[str, str]:
    """A text as what is before the word at its end, and that word as far as it is typed, "" where none is."""
    begins = len(text) - _TAIL.match(text[: -_FAR - 1 : -1]).end()  # type: ignore[union-attr]
    return text[:begins], text[begins:]


class Candidate(NamedTuple):
    """A word that may be meant: folded, as it is usually written, and how probable it is."""

    key: str
    word: str
    chance: float


class Moment(NamedTuple):
    """What was known where a text ended: to come back to when it is shortened."""

    text: str
    session: Session
    habits: Habits
    before: tuple[int, ...]
    writings: dict[str, str]
    words: int


class Reader:
    """Reads a text as it grows, and as its last words are deleted.

    Parameters
    ----------
    lexicon: the words.
    network: the packed network over its tokens.
    personal: what else has been counted; it is not changed.
    blocked: folded words that are never suggested.
    """

    def __init__(
        self,
        lexicon: Lexicon,
        network: Packed,
        personal: Phrases[str] | None = None,
        blocked: Collection[str] = (),
    ) -> None:
        self.lexicon = lexicon
        self.engine = Engine(network, threads=1)
        self.chances = Chances(lexicon)
        self._known = self.chances.known
        self.take(personal, blocked)

    def take(self, personal: Phrases[str] | None, blocked: Collection[str]) -> None:
        """Go on with another personal layer and other blocked words."""
        self._strangers = Strangers(self._known)
        self._own = Counts(0) if personal is None else Counts.of(personal, self._known, self._number)
        self._own_strangers = self._strangers
        self._own_writings = {} if personal is None else personal.writings.copy()
        self._blocked = list(blocked)
        self._restart()

    def learn(self, words: int, rows: Iterable[Mapping[str, Any]]) -> None:
        """Count what the personal layer has just learnt: so many words, as rows."""
        self._own.fade(words)
        for row in rows:
            self._own.put(self._number(row["word"]), tuple(map(self._number, row["after"])), row["count"])
            if "written" in row:
                self._own_writings[row["word"]] = row["written"]
        self._own_strangers = self._strangers.copy()
        self._say()

    def _restart(self) -> None:
        self.session = self.engine.session()
        self.scores: Floats = self.session.read(np.array([START]))
        self.text, self.habits = "", Habits()
        self._past: deque[Moment] = deque(maxlen=MOMENTS)
        self._writings: dict[str, str] = {}
        self._before: tuple[int, ...] = ()
        self._recent = Counts(self._known, MEMORY)
        self._strangers = self._own_strangers.copy()
        self._banned = np.array([self._number(word) for word in self._blocked], np.intp)
        self._say()

    def read(self, text: str) -> None:
        """Be where `text` ends, whose last word is whole."""
        if text == self.text:
            return
        if not text.startswith(self.text) or self._cuts(text):
            self._go_back(text)
        if len(text) - len(self.text) > SEEN:
            self._restart()
            blank = _BLANK.search(text, len(text) - SEEN)
            self.text = text[: len(text) - SEEN if blank is None else blank.end()]
        # The last words of a long text one after another: they may be deleted next.
        for blank in _BLANK.finditer(text, max(len(self.text), len(text) - LAST)):
            self._go_on(text[: blank.end()])
        self._go_on(text)

    def _go_on(self, text: str) -> None:
        fresh = text[len(self.text) :]
        if _LINE_END.search(self.text[-_FAR:]):  # what goes on with the end of a line is no other one
            fresh = _BLANKS.sub("", fresh)
        if found := pieces(fresh):
            self._past.append(self._moment())
            self.session = self.session.fork()
            self.scores = self.session.read(np.array([self._take_in(piece) for piece in found]))
            self._say()
        self.text = text

    def _moment(self) -> Moment:
        habits = Habits(self.habits.sentence, self.habits.pronoun, self.habits.begins)
        return Moment(self.text, self.session, habits, self._before, self._writings, self._recent.added)

    def _go_back(self, text: str) -> None:
        """Be where a beginning of a text ended: at the last moment that is kept, or where nothing was read."""
        while self._past:
            then = self._past.pop()
            if not self._recent.take_back(self._recent.added - then.words):
                break
            self.text = then.text
            if text.startswith(self.text) and not self._cuts(text):
                self.session, self.habits, self._before = then.session, then.habits, then.before
                self._writings = then.writings
                self.scores = self.session.scores
                self._say()
                return
        self._restart()

    def _cuts(self, text: str) -> bool:
        """Whether what was read ends inside of a word, number or mark of the longer text."""
        tail = self.text[-_FAR:]
        if _ENDS_BLANK.search(tail):  # nothing goes on behind a blank
            return False
        around = tail + text[len(self.text) : len(self.text) + 4]
        return any(start < len(tail) < stop for start, stop in spans(around))

    def _take_in(self, piece: str) -> int:
        """Count the next word, number or mark; its token."""
        begins = self.habits.begins
        self.habits.observe(piece)
        if not is_word(piece):
            self._before = ()
            return self.lexicon.token(piece)
        key = folded(piece)
        number, usual = self._number(key), self._usual(key)
        if number >= self._known and usual != piece and (usual is None or not begins):
            self._writings = self._writings | {key: piece}
        self._recent.add(number, self._before)
        self._before = (*self._before, number)[-LONGEST:]
        return number - self.chances.token if self.chances.token <= number < self._known else UNKNOWN

    def _usual(self, key: str) -> str | None:
        """How a word that the lexicon does not know was written."""
        return self._writings.get(key) or self._own_writings.get(key)

    def _number(self, key: str) -> int:
        place = self.lexicon.find(key)
        return self._strangers.number(key) if place is None else int(self.chances.numbers[place])

    def _say(self) -> None:
        """Say how probable the next words are."""
        left, counted = _believed([(self._own, OWN_DOUBT), (self._recent, DOUBT)], self._before)
        self.chances.say(self.scores, left, counted, self._banned, len(self._strangers))
        self._plausible: dict[str, tuple[list[int], list[str], list[float]]] = {}

    def suggest(self, context: str, prefix: str | None, k: int) -> list[tuple[str, float]]:
        """As `Keyboard.suggest` says."""
        if prefix is None:
            context, prefix = split(context)
        self.read(context)
        typed = folded(prefix)
        found = {each.key: each for each in (self._beginning(typed, k + 1) if typed else self._next(k))}
        if len(typed) >= LEAST_TYPED and all(each.chance < FITS for each in found.values()):
            for each in self._mistyped(typed):
                if each.key not in found or each.chance > found[each.key].chance:
                    found[each.key] = each
        found.pop(typed, None)
        best = sorted(found.values(), key=lambda each: (-each.chance, each.key))[:k]
        return [(written(each.word, prefix, self.habits), each.chance) for each in best if each.chance > 0]

    def _next(self, k: int) -> Iterator[Candidate]:
        """The k most probable words of the network, and of those that the lexicon does not know."""
        first, chances = self.chances.first, self.chances.network
        for at in best_of(chances, k):
            yield self._known_word(self.chances.places[first + at], chances[at])
        chances = self.chances.strangers
        for at in best_of(chances, k):
            yield self._strange_word(self._strangers.names[at], chances[at])

    def _beginning(self, typed: str, k: int) -> Iterator[Candidate]:
        """The k most probable words that begin with what is typed."""
        where, numbers = self.lexicon.beginning(typed), self.chances.numbers
        chances = self.chances.of(numbers[where])
        for at in best_of(chances, k):
            yield self._known_word(where.start + at, chances[at])
        if len(places := self.lexicon.without_apostrophe(typed)):
            chances = self.chances.of(numbers[places])
            for at in best_of(chances, k):
                yield self._known_word(places[at], chances[at])
        names, strange = self._strangers.beginning(typed)
        if names:
            chances = self.chances.of(strange)
            for at in best_of(chances, k):
                yield self._strange_word(names[at], chances[at])

    def _mistyped(self, typed: str) -> Iterator[Candidate]:
        """Words that may be meant if letters of what is typed are wrong, missing, too many or the wrong way round."""
        from rapidfuzz.distance import OSA
        from rapidfuzz.process import cdist

        length = len(typed)
        most = 2 if length >= LONG_TYPED else 1
        places, names, chances = self._plausible_words(typed[:2])
        cut = [begun for end in (length, length + 1) for begun in map(itemgetter(slice(end)), names)]
        found = cdist([typed], cut, scorer=OSA.distance, score_cutoff=most, dtype=np.uint8)[0]
        wrong = np.minimum(found[: len(names)], found[len(names) :])
        for at in np.flatnonzero((wrong > 0) & (wrong <= most)).tolist():
            yield self._known_word(places[at], chances[at] * MISTYPED ** int(wrong[at]))

    def _plausible_words(self, letters: str) -> tuple[list[int], list[str], list[float]]:
        """The words that begin with one of two letters, the first of which is mostly right: once for a word."""
        if letters not in self._plausible:
            places: list[int] = []
            for letter in sorted(set(letters)):
                where = self.lexicon.beginning(letter)
                best = best_of(self.chances.of(self.chances.numbers[where]), PLAUSIBLE)
                places += [where.start + at for at in best]
            names = [self.lexicon.keys[place] for place in places]
            self._plausible[letters] = places, names, self.chances.of(self.chances.numbers[places]).tolist()
        return self._plausible[letters]

    def _known_word(self, place: int, chance: float) -> Candidate:
        return Candidate(self.lexicon.keys[place], self.lexicon.words[place], float(chance))

    def _strange_word(self, key: str, chance: float) -> Candidate:
        return Candidate(key, self._usual(key) or key, float(chance))


def _believed(
    counts: Sequence[tuple[Counts, Mapping[int, float]]], before: tuple[int, ...]
) -> tuple[float, list[Belief]]:
    """How far the network is believed, and how far what was counted in the same place.

    What comes later in `counts`, and what was counted behind more of the same words, goes before.
    """
    found = []
    for each, doubt in counts:
        for length in range(min(LONGEST, len(before)) + 1):
            context = before[len(before) - length :]
            if context not in each.after:
                break
            total = each.total(context)
            found.append((total / (total + doubt[length]), each, context))
    left, weighed = 1.0, []
    for trust, each, context in reversed(found):
        if trust > 0:
            weighed.append((left * trust, each, context))
        left *= 1 - trust
    return left, weighed
