"""How a suggested word is written where it would stand: capitals as the sentence, the writer and the prefix ask."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SENTENCE_ENDS", "Habits", "written"]

SENTENCE_ENDS = {"\n", ".", "!", "?", "…", "...", ".."}
OPENING = {'"', "“", "‘", "'", "(", "[", "*", "_", "—"}  # a sentence that stands here began before
FADING = 0.8  # what an observation still counts when the next one is made


@dataclass
class Habits:
    """What a text shows of its writer: whether sentences begin with a capital, and whether "I" is one.

    Attributes
    ----------
    sentence, pronoun: of the latest observations, how much more often there was a capital than not.
    begins: whether a sentence begins where the text ends.
    """

    sentence: float = 0.5
    pronoun: float = 0.5
    begins: bool = True

    def observe(self, piece: str) -> None:
        """Take in the next word, number or mark."""
        if piece in SENTENCE_ENDS:
            self.begins = True
        elif piece not in OPENING:
            if piece == "i" or piece[:2] in ("i'", "i’"):
                self.pronoun = FADING * self.pronoun - 1
            elif piece == "I" or piece[:2] in ("I'", "I’"):
                self.pronoun = FADING * self.pronoun + 1
            elif self.begins and piece[0].isalpha():
                self.sentence = FADING * self.sentence + (1 if piece[0].isupper() else -1)
            self.begins = False


def written(word: str, prefix: str, habits: Habits) -> str:
    """A word, given as it is usually written inside a sentence, as it would be written here.

    What is typed already of it says most: a capital, or several. Without it a sentence begins with a capital, unless
    this writer's do not.
    """
    letters = [each for each in prefix if each.isalpha()]
    if len(letters) > 1 and all(map(str.isupper, letters)):
        return word.upper()
    if letters and letters[0].isupper():
        return _capital(word)
    if habits.pronoun < 0 and word[0].isupper() and (word == "I" or word[:2] in ("I'", "I’")):
        return word.lower()
    if not letters and habits.begins and habits.sentence > 0:
        return _capital(word)
    return word


def _capital(word: str) -> str:
    return word[:1].upper() + word[1:]
