"""`recurra type` in a real terminal."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from recurra.language.suggestion import Keyboard, Personal

pty = pytest.importorskip("pty")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("keyboard") / "model"
    texts = ["see you tomorrow\nthank you very much\n" * 30] * 4
    Keyboard(embedding_size=16, hidden_size=32, steps=120, batch_size=8, learning_rate=1e-2).fit(texts).save(
        place
    )
    return place


class Terminal:
    """A process in a terminal of 80 columns."""

    def __init__(self, *arguments: object, **environment: str) -> None:
        self.seen = b""
        self.file, inner = pty.openpty()
        termios.tcsetwinsize(inner, (24, 80))
        command = [sys.executable, "-m", "recurra.cli", *map(str, arguments)]
        self.process = subprocess.Popen(
            command, stdin=inner, stdout=inner, stderr=inner, env=os.environ | environment | {"TERM": "xterm"}
        )
        os.close(inner)

    def wait_for(self, text: bytes) -> None:
        """Read on until a text was printed; fails after a minute."""
        end = time.monotonic() + 60
        while text not in self.seen:
            ready, _, _ = select.select([self.file], [], [], 1)
            if ready:
                try:
                    found = os.read(self.file, 4096)
                except OSError:  # the process has ended
                    break
                self.seen += found
                if b"\x1b[6n" in found:  # where is the cursor?
                    os.write(self.file, b"\x1b[1;1R")
            elif time.monotonic() > end:
                break
        if text not in self.seen:
            self.process.kill()
            self.process.wait()
        assert text in self.seen

    def type(self, keys: bytes) -> None:
        self.seen = b""
        os.write(self.file, keys)

    def end(self) -> int:
        code = self.process.wait(60)
        os.close(self.file)
        return code


@pytest.mark.slow
def test_tab_takes_the_grey_words_and_it_learns(model: Path, tmp_path: Path) -> None:
    file, own = tmp_path / "note.txt", tmp_path / "personal.jsonl"
    terminal = Terminal("type", file, "--model", model, RECURRA_PERSONAL=str(own))
    terminal.wait_for(b"Ctrl-S")
    terminal.type(b"see you to")
    terminal.wait_for(b"morrow")  # grey
    terminal.type(b"\t")
    terminal.type(b", ok\x13")
    assert terminal.end() == 0
    assert file.read_text() == "see you tomorrow, ok\n"
    assert "tomorrow" in {row["word"] for row in Personal.open(own).rows()}


@pytest.mark.slow
def test_control_c_keeps_nothing(model: Path, tmp_path: Path) -> None:
    file, own = tmp_path / "note.txt", tmp_path / "personal.jsonl"
    terminal = Terminal("type", file, "--model", model, RECURRA_PERSONAL=str(own))
    terminal.wait_for(b"Ctrl-S")
    terminal.type(b"see you\x03")
    assert terminal.end() == 3
    assert not file.exists()
    assert not own.exists()
