"""What the documentation says of the source is what the source says.

The pages are written by people, for the reasons beside each value; here they
are compared with the code, so that a change of one without the other fails.
"""

from __future__ import annotations

import ast
import functools
import importlib
import re
from pathlib import Path

import attrs
import pytest

from rtcproto import EndpointConfig, RoutingConfig, SessionConfig
from rtcproto.dtls import DtlsConfig
from rtcproto.dtls.handshake import HandshakeType
from rtcproto.dtls.vetting import _NEXT
from rtcproto.ice import IceConfig
from rtcproto.ice.pair import TRANSITIONS
from rtcproto.relay import RelayConfig
from rtcproto.sctp import SctpConfig

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "rtcproto"
PAGES = ROOT / "docs" / "pages"

ROW = re.compile(r"^\| `([\w.]+)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def limits() -> dict[str, str]:
    """Dotted name -> value of every row of the page of limits."""
    rows = ROW.findall((PAGES / "reference" / "limits.md").read_text(encoding="utf-8"))
    assert len({name for name, _, _ in rows}) == len(rows), "a limit is listed twice"
    return {name: value.strip() for name, value, _ in rows}


# What programs import; everything else is reached from there.
ENTRANCES = ("rtcproto", "rtcproto.asyncio", "rtcproto.relay", "rtcproto.testing")


def path_of(module: str) -> Path | None:
    """The file of a module or a package, None if it is something inside of one."""
    path = SOURCE.joinpath(*module.split(".")[1:])
    for file in (path / "__init__.py", path.with_suffix(".py")):
        if file.is_file():
            return file
    return None


@functools.cache
def modules() -> tuple[Path, ...]:
    """Every module that is in use: reached by imports from what programs import."""
    found: dict[Path, None] = {}
    waiting = list(ENTRANCES)
    while waiting:
        path = path_of(waiting.pop())
        if path is None or path in found:
            continue
        found[path] = None
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rtcproto"):
                module = node.module or ""
                waiting += [module, *(f"{module}.{alias.name}" for alias in node.names)]
    return tuple(sorted(found))


def value_of(name: str) -> object:
    """The value of a module's constant, or the default of a configuration's field."""
    owner, _, attribute = name.rpartition(".")
    if owner.endswith("Config"):
        module, _, cls = owner.rpartition(".")
        fields = attrs.fields_dict(getattr(importlib.import_module(f"rtcproto.{module}"), cls))
        default: object = fields[attribute].default
        return default
    constant: object = getattr(importlib.import_module(f"rtcproto.{owner}"), attribute)
    return constant


@pytest.mark.parametrize(("name", "value"), limits().items())
def test_limits_have_the_value_of_the_source(name: str, value: str) -> None:
    """And its type: seconds are written as floats where the source has floats."""
    assert repr(value_of(name)) == value


def test_every_limit_is_listed() -> None:
    """Each `MAX_` constant that a module defines has a row."""
    defined = set()
    for path in modules():
        parts = path.relative_to(SOURCE).with_suffix("").parts
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                name = node.targets[0].id
                if name.startswith("MAX_"):
                    defined.add(".".join([*parts, name]))
    assert defined
    assert defined - limits().keys() == set()


# Defaults that read the same in Python and in a table.
PLAIN = {bool, int, float, str, tuple, frozenset, type(None)}

SETTINGS = {
    cls.__name__: cls
    for cls in (
        SessionConfig,
        EndpointConfig,
        RoutingConfig,
        IceConfig,
        SctpConfig,
        DtlsConfig,
        RelayConfig,
    )
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_are_those_of_the_source(name: str) -> None:
    """Every field, in order; plain defaults as Python writes them."""
    page = (PAGES / "reference" / "config.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*?) ?\|", section, re.MULTILINE)
    fields = attrs.fields_dict(SETTINGS[name])
    assert [field for field, _ in rows] == list(fields)
    for field, written in rows:
        default = fields[field].default
        if default is attrs.NOTHING:
            assert written == "", field
        elif type(default) in PLAIN and "Profile" not in repr(default):
            assert written == f"`{default!r}`", field


def cited() -> dict[str, set[str]]:
    """RFC number -> modules that cite it."""
    found: dict[str, set[str]] = {}
    for path in modules():
        text = path.read_text(encoding="utf-8")
        # "RFC 8839 (ICE), 8122 (fingerprint), 5763 (setup)" names three.
        for run in re.findall(r"RFCs? ((?:[\d.]+[^.\n\d]{0,24}?(?:, | and |\n)\s*)*[\d.]+)", text):
            for number in re.findall(r"(?<![\d.])\d{4}(?![\d.]\d)", run):
                found.setdefault(number, set()).add(path.relative_to(SOURCE).as_posix())
        for number in re.findall(r"RFC (\d{4})", text):
            found.setdefault(number, set()).add(path.relative_to(SOURCE).as_posix())
    return found


def test_every_cited_rfc_is_in_the_coverage() -> None:
    """Whatever a module names as an RFC has its line, and nothing else claims a module."""
    page = (PAGES / "reference" / "rfc-coverage.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"RFC (\d{3,4})", page))
    missing = {number: places for number, places in cited().items() if number not in listed}
    assert {n: p for n, p in missing.items() if 1000 <= int(n) < 10000} == {}


def test_modules_of_the_coverage_exist() -> None:
    """Each `package/module.py` that the page names is there."""
    page = (PAGES / "reference" / "rfc-coverage.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w/]+\.py)`", page))
    assert named
    assert [name for name in named if not (SOURCE / name).is_file()] == []


def test_every_module_that_cites_an_rfc_is_in_the_coverage() -> None:
    """By its own name or its package's; test support apart: what it cites is for tests."""
    page = (PAGES / "reference" / "rfc-coverage.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w/]+(?:\.py|/))`", page))
    citing = {place for places in cited().values() for place in places}
    missing = {place for place in citing if named.isdisjoint((place, f"{Path(place).parent}/"))}
    assert {place for place in missing if not place.startswith("testing/")} == set()


def pair_diagram() -> str:
    """The states of a candidate pair, from the table that drives them."""
    lines = []
    for state, events in TRANSITIONS.items():
        for event, following in events.items():
            lines.append(f"{state.name:<12} --{event.name + '-->':<12} {following.name}")
    return "\n".join(lines) + "\n"


def message_order() -> str:
    """What may follow what in a handshake, from the table that judges it."""
    lines = []
    for role, following in _NEXT.items():
        lines.append(f"to a {role.value}:")
        for before, after in following.items():
            name = "start" if before is None else HandshakeType(before).name
            names = " or ".join(HandshakeType(kind).name for kind in sorted(after))
            lines.append(f"  {name:<20} -> {names}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("page", "diagram"), [("ice.md", pair_diagram()), ("dtls.md", message_order())]
)
def test_diagrams_are_the_tables(page: str, diagram: str) -> None:
    """`python -m tests.test_docs_facts` prints what the pages should have."""
    text = (PAGES / "explanation" / page).read_text(encoding="utf-8")
    assert f"```text\n{diagram}```\n" in text


def test_every_page_is_in_the_navigation() -> None:
    """And nothing else is; a page that nobody can reach is not written."""
    text = (ROOT / "docs" / "mkdocs.yml").read_text(encoding="utf-8")
    listed = re.findall(r"([\w/-]+\.md)", text.partition("\nnav:\n")[2].partition("\n\n")[0])
    assert sorted(listed) == sorted(p.relative_to(PAGES).as_posix() for p in PAGES.rglob("*.md"))


if __name__ == "__main__":
    print(pair_diagram())
    print(message_order(), end="")
