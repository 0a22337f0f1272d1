"""Public names: declared, existing, documented, and gathered where the docs say."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import types

import pytest

import rtcproto

NAMES = sorted(
    {"rtcproto"} | {m.name for m in pkgutil.walk_packages(rtcproto.__path__, "rtcproto.")}
)
# Only names and a version; it has nothing to gather yet.
BARE = {"rtcproto"}


def load(name: str) -> types.ModuleType:
    """The module of that name."""
    return importlib.import_module(name)


@pytest.mark.parametrize("name", NAMES)
def test_modules_say_what_they_are_for(name: str) -> None:
    """Every module opens with its purpose."""
    doc = load(name).__doc__
    assert doc
    assert len(doc.split()) >= 5


@pytest.mark.parametrize("name", [name for name in NAMES if name not in BARE])
def test_declared_names_exist_once(name: str) -> None:
    """`__all__` is there, without repetition, and every name in it can be imported."""
    module = load(name)
    exported = module.__all__
    assert len(exported) == len(set(exported))
    assert [each for each in exported if not hasattr(module, each)] == []


@pytest.mark.parametrize("name", [name for name in NAMES if name not in BARE])
def test_packages_only_pass_on_public_names(name: str) -> None:
    """What a package's `__init__` exports is in the `__all__` of the module that defines it."""
    module = load(name)
    if not hasattr(module, "__path__"):
        return
    for each in module.__all__:
        value = getattr(module, each)
        home = getattr(value, "__module__", None)
        if isinstance(home, str) and home.startswith(name + "."):
            assert each in load(home).__all__, f"{each} is private in {home}"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in BARE])
def test_public_things_are_documented(name: str) -> None:
    """Every public class and function, and every public method, has a docstring."""
    module = load(name)
    missing = []
    for each in module.__all__:
        value = getattr(module, each)
        if getattr(value, "__module__", None) != name:
            continue
        if inspect.isclass(value):
            missing += [f"{each}"] if not value.__doc__ else []
            missing += [
                f"{each}.{attribute}"
                for attribute, member in vars(value).items()
                if not attribute.startswith("_")
                and (inspect.isfunction(member) or isinstance(member, property))
                and not inspect.getdoc(member)
            ]
        elif inspect.isfunction(value) and not value.__doc__:
            missing.append(each)
    assert missing == []
