"""Sentences with a tag for each word, read from CoNLL-U, from columns, and from JSON lines, packed or not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recurra.errors import InputError, UsageError
from recurra.sources.files import existing_file
from recurra.sources.packed import PACKED
from recurra.text.reading import Say, blocks

__all__ = ["CONLLU", "Corpus", "read_corpus"]

# The columns of CoNLL-U: universaldependencies.org/format.html.
CONLLU = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
COLUMNS = (".conll", ".conll2002", ".conll2003", ".iob", ".iob2", ".bio", ".tsv", ".txt", ".pos", ".ner")
JSON_LINES = (".jsonl", ".ndjson")
WORDS, TAGS = ("tokens", "words"), ("tags", "labels", "upos", "pos", "ner_tags", "pos_tags")
DOCUMENT = "-DOCSTART-"  # what CoNLL 2003 has between documents
LONGEST_LINE = 16 << 20  # characters
SHOWN = 60  # characters of a line in an error


@dataclass
class Corpus:
    """Sentences as they stand in a file.

    Attributes
    ----------
    tokens: the words of each sentence, at least one.
    tags: their tags, as many; empty lists where the file was read for its words alone.
    rows: the line of the file at which each sentence begins, 1 and on.
    """

    tokens: list[list[str]] = field(default_factory=list)
    tags: list[list[str]] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)

    def add(self, tokens: list[str], tags: list[str], row: int) -> None:
        """One more sentence."""
        self.tokens.append(tokens)
        self.tags.append(tags)
        self.rows.append(row)


def read_corpus(
    path: str | Path,
    *,
    column: str | None = None,
    tagged: bool = True,
    encoding: str | None = None,
    say: Say | None = None,
) -> Corpus:
    """Read a file of sentences; which form it has, its name says.

    `.conllu`: CoNLL-U; `column` is one of CONLLU, "upos" unless told otherwise. Multiword tokens (1-2) and empty nodes
    (1.1) are left out. `.conll`, `.iob`, `.bio`, `.tsv`, `.txt` …: a word a line, its columns apart by tabs or blanks,
    an empty line between sentences; the word comes first, and `column` counts from 1, the last one unless told
    otherwise. `.jsonl`: an object a line with a list of words (`tokens` or `words`) and one of tags (`tags`, `labels`
    …, or what `column` says). All of these may be packed (.gz, .xz, .bz2, .zip). With `tagged=False` only
    words are read, and columns of tags may be missing. The encoding is found unless it is told; `say` is told of lines
    that are no UTF-8.

    Raises InputError with the file and the line for what cannot be read, UsageError for a column that such a file
    cannot have.
    """
    file = existing_file(path)
    packed = file.suffix.lower() in PACKED
    suffix = Path(file.stem).suffix.lower() if packed else file.suffix.lower()
    lines = _lines(file, encoding, say)
    if suffix in (".conllu", ".conllx"):
        found = _conllu(file, lines, column, tagged)
    elif suffix in JSON_LINES:
        found = _json_lines(file, lines, column, tagged)
    elif suffix in COLUMNS:
        found = _columns(file, lines, column, tagged)
    else:
        hint = f"Name it .conllu, .jsonl, or for columns {', '.join(COLUMNS[:6])} …."
        raise UsageError("the name does not say what kind of file it is", file=file, value=suffix, hint=hint)
    if not found.tokens:
        raise InputError("the file holds no sentence", file=file, hint="Write a word a line, and its tag.")
    return found


def _conllu(file: Path, lines: Iterator[tuple[int, str]], column: str | None, tagged: bool) -> Corpus:
    name = "upos" if column is None else column.lower()
    if name not in CONLLU:
        hint = f"Use one of {', '.join(CONLLU)}."
        raise UsageError("CoNLL-U has no such column", value=column, hint=hint)
    place = CONLLU.index(name)
    corpus = Corpus()
    for rows, sentence in _sentences(lines, comments="#"):
        tokens, tags = [], []
        for row, line in zip(rows, sentence, strict=True):
            fields = line.split("\t")
            if len(fields) != len(CONLLU):
                hint = "Columns are apart by tabs; write _ where there is nothing."
                what = f"CoNLL-U has {len(CONLLU)} columns, this line {len(fields)}"
                raise InputError(what, file=file, row=row, value=line[:SHOWN], hint=hint)
            if "-" in fields[0] or "." in fields[0]:
                continue
            if not fields[0].isascii() or not fields[0].isdigit():
                raise InputError("a word's number was expected", file=file, row=row, value=fields[0][:SHOWN])
            tokens.append(_word(file, row, fields[1]))
            if tagged:
                tags.append(_tag(file, row, fields[place], missing="_", column=name))
        if tokens:
            corpus.add(tokens, tags, rows[0])
    return corpus


def _columns(file: Path, lines: Iterator[tuple[int, str]], column: str | None, tagged: bool) -> Corpus:
    if column is not None and not (column.isascii() and column.isdigit() and int(column) > 1):
        hint = "The word is column 1; count from there: 2, 3 …."
        raise UsageError("a column of such a file is a number, 2 or more", value=column, hint=hint)
    corpus, width = Corpus(), 0
    for rows, sentence in _sentences(lines):
        tokens, tags = [], []
        for row, line in zip(rows, sentence, strict=True):
            fields = line.split("\t") if "\t" in line else line.split()
            if fields[0] == DOCUMENT:
                continue
            width = width or len(fields)
            if len(fields) != width:
                what = f"this line has {len(fields)} columns, those before it {width}"
                hint = "Put the word and its tag into each line, and an empty line between sentences."
                raise InputError(what, file=file, row=row, value=line[:SHOWN], hint=hint)
            place = width if column is None else int(column)
            tokens.append(_word(file, row, fields[0]))
            if tagged:
                if not 1 < place <= width:
                    what = f"there is no column {max(place, 2)} with tags, lines have {width}"
                    hint = "Put the word and its tag into each line."
                    raise InputError(what, file=file, row=row, value=line[:SHOWN], hint=hint)
                tags.append(_tag(file, row, fields[place - 1], column=str(place)))
        if tokens:
            corpus.add(tokens, tags, rows[0])
    return corpus


def _json_lines(file: Path, lines: Iterator[tuple[int, str]], column: str | None, tagged: bool) -> Corpus:
    corpus = Corpus()
    for row, line in lines:
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            what = f"this line is no JSON: {error}"
            raise InputError(what, file=file, row=row, value=line[:SHOWN]) from None
        if not isinstance(entry, dict):
            raise InputError("a line holds one object", file=file, row=row, value=line[:SHOWN])
        tokens = _listed(file, row, entry, WORDS)
        tags = _listed(file, row, entry, TAGS if column is None else (column,)) if tagged else []
        if tagged and len(tags) != len(tokens):
            what = f"there are {len(tokens)} words and {len(tags)} tags"
            raise InputError(what, file=file, row=row, hint="Give each word one tag.")
        if tokens:
            tokens = [_word(file, row, each) for each in tokens]
            corpus.add(tokens, [_tag(file, row, each, column="tags") for each in tags], row)
    return corpus


def _listed(file: Path, row: int, entry: dict[str, Any], names: tuple[str, ...]) -> list[str]:
    """The texts under the first of `names` that is there."""
    name = next((each for each in names if each in entry), None)
    if name is None:
        hint = f"This object has {', '.join(map(str, list(entry)[:6])) or 'nothing'}."
        raise InputError(f"there is no {' or '.join(names)}", file=file, row=row, hint=hint)
    found = entry[name]
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise InputError(
            "this must be a list of texts", file=file, row=row, column=name, value=str(found)[:SHOWN]
        )
    return found


def _word(file: Path, row: int, word: str) -> str:
    if not word.strip():
        raise InputError("there is no word", file=file, row=row, value=word)
    return word


def _tag(file: Path, row: int, tag: str, *, column: str, missing: str | None = None) -> str:
    if not tag.strip() or tag == missing:
        raise InputError(
            "a word has no tag",
            file=file,
            row=row,
            column=column,
            value=tag,
            hint="Tag it, or leave the sentence out.",
        )
    return tag


def _sentences(
    lines: Iterator[tuple[int, str]], comments: str | None = None
) -> Iterator[tuple[list[int], list[str]]]:
    """Lines between empty ones, with their numbers."""
    rows: list[int] = []
    sentence: list[str] = []
    for row, line in lines:
        if not line.strip():
            if sentence:
                yield rows, sentence
            rows, sentence = [], []
        elif comments is None or not line.startswith(comments):
            rows.append(row)
            sentence.append(line)
    if sentence:
        yield rows, sentence


def _lines(file: Path, encoding: str | None, say: Say | None) -> Iterator[tuple[int, str]]:
    """The lines of a file with their numbers."""
    rest, row = "", 0
    for text in blocks(file, encoding, say):
        *whole, rest = (rest + text).split("\n")
        for line in whole:
            row += 1
            yield row, line
        if len(rest) > LONGEST_LINE:
            what = f"a line is longer than {LONGEST_LINE >> 20} million characters"
            raise InputError(what, file=file, row=row + 1, hint="Write a word a line.")
    if rest:
        yield row + 1, rest
