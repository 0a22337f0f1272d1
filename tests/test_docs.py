"""Every Python block of the documentation runs.

The blocks of one page share a namespace, in order, as a reader would type them.
A block that cannot run does not belong in the documentation: there is no mark
to skip one. `--8<-- "path"` lines are replaced by that file, as in the build.
"""

from __future__ import annotations

import re
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "pages").rglob("*.md"))]

# Words that may follow ``` in our pages.
LANGUAGES = {
    "",
    "console",
    "ini",
    "json",
    "makefile",
    "python",
    "sdp",
    "sh",
    "text",
    "toml",
    "yaml",
}

FENCE = re.compile(
    r"^(?P<indent> *)(?P<ticks>```+)(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=indent)(?P=ticks) *$",
    re.MULTILINE | re.DOTALL,
)
SNIPPET = re.compile(r'^--8<-- "([^"]+)"$', re.MULTILINE)


def fences(text: str) -> Iterator[tuple[str, str, int]]:
    """(info word, body, line of the body) of each fenced block."""
    for match in FENCE.finditer(text):
        line = text.count("\n", 0, match.start("body")) + 1
        yield match["info"].strip(), textwrap.dedent(match["body"]), line


def include(body: str) -> str:
    """The body with its snippets in place."""
    return SNIPPET.sub(lambda match: (ROOT / match[1]).read_text(encoding="utf-8"), body)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_python_blocks_run(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They raise nothing and wait for no real time."""

    def sleep(seconds: float) -> None:
        raise AssertionError(f"the documentation sleeps for {seconds} real seconds")

    monkeypatch.setattr("time.sleep", sleep)
    monkeypatch.chdir(ROOT)
    module = types.ModuleType("page")
    # Decorators and dataclasses look their module up.
    monkeypatch.setitem(__import__("sys").modules, "page", module)
    for info, body, line in fences(page.read_text(encoding="utf-8")):
        if info == "python":
            # Blank lines in front put the page's own line numbers into tracebacks.
            code = compile("\n" * (line - 1) + include(body), str(page), "exec")
            exec(code, vars(module))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_fences_are_marked_plainly(page: Path) -> None:
    """One word of a known language: nothing that hides a block from the test above."""
    words = {info for info, _, _ in fences(page.read_text(encoding="utf-8"))}
    assert words <= LANGUAGES


def test_the_reader_of_fences_itself() -> None:
    """Indented blocks, longer fences, snippets and line numbers."""
    text = "a\n```python\nx = 1\n```\n\n  ```sh\n  ls\n  ```\n````text\n```\n````\n"
    assert list(fences(text)) == [
        ("python", "x = 1\n", 3),
        ("sh", "ls\n", 7),
        ("text", "```\n", 10),
    ]
    assert include('--8<-- "README.md"').startswith("# rtcproto")
