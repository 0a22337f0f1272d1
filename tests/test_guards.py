"""The table of guards, held to the source and to the documentation.

`make guards` proves the guards; that takes minutes. This keeps the table true in between.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.guard_table import GUARDS, Guard
from tests.guards import PAGE, ROOT, module_of, page


def source_of(guard: Guard) -> str:
    """The text of its module."""
    folder = ROOT if guard.file.startswith("examples/") else ROOT / "src"
    return module_of(guard, folder).read_text(encoding="utf-8")


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_the_text_is_there_once(guard: Guard) -> None:
    """What is switched off exists, in one place, and switching it off is a change."""
    assert source_of(guard).count(guard.text) == 1
    assert guard.off != guard.text


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_the_patched_module_compiles(guard: Guard) -> None:
    """A guard that is off must be noticed by a test, not by the compiler."""
    text = source_of(guard)
    compile(text.replace(guard.text, guard.off), guard.file, "exec")


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_the_named_tests_exist(guard: Guard) -> None:
    """Each is a module of tests, or a class or function in one."""
    assert guard.tests
    for test in guard.tests:
        path, *names = test.split("::")
        assert not names or names[-1] in names_in(ROOT / path), test


@cache
def names_in(path: Path) -> frozenset[str]:
    """Classes and functions of a module."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return frozenset(node.name for node in nodes if isinstance(node, kinds))


def test_names_are_distinct() -> None:
    """The documentation and the report name them."""
    assert len({guard.name for guard in GUARDS}) == len(GUARDS)


def test_the_documentation_has_the_same_table() -> None:
    """`python tests/guards.py --write` was run after the last change."""
    assert PAGE.read_text(encoding="utf-8") == page(GUARDS)
