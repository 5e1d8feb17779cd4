"""What using a model needs, in a new process: no package that training brings, and few modules."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from recurra.text.tokenizer import Tokenizer

PROGRAM = """
import sys
from pathlib import Path
from recurra.text.tokenizer import Tokenizer
from recurra.text.words import words
tokenizer = Tokenizer.from_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
assert tokenizer.decode(tokenizer.encode("the sea")) == "the sea" and words("a b") == ["a", "b"]
print({"tokenizers", "torch", "csv", "lzma", "rich"} & set(sys.modules))
"""


def test_a_tokenizer_is_used_without_what_training_needs(tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_text(Tokenizer.train(["the sea " * 9], size=300).to_json(), encoding="utf-8")
    command = [sys.executable, "-c", PROGRAM, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, "set()"), done.stderr
