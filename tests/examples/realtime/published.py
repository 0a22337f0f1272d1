"""Reads the published OpenAPI description of the interface, where it is at hand.

`RTCPROTO_OPENAPI` names the file. It is not part of this project; without it the tests
that compare with it are skipped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

__all__ = ["Shape", "event_shapes", "kinds_of", "published", "shape"]

Shape = dict[str, Any]


@cache
def published() -> dict[str, Shape]:
    """The component schemas by name; skips the test where there is no file."""
    path = os.environ.get("RTCPROTO_OPENAPI", "")
    if not path:
        pytest.skip("RTCPROTO_OPENAPI names no file: nothing to compare with")
    yaml = pytest.importorskip("yaml", reason="PyYAML reads the published description")
    # The loader in C takes a tenth of the other's time.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document = yaml.load(Path(path).read_text(encoding="utf-8"), Loader=loader)
    schemas: dict[str, Shape] = document["components"]["schemas"]
    return schemas


def shape(value: Shape) -> Shape:
    """A schema, with a reference followed."""
    while "$ref" in value:
        value = published()[value["$ref"].rpartition("/")[2]]
    return value


def event_shapes(prefix: str) -> dict[str, Shape]:
    """The events of a side by their type; `prefix` begins the names of their schemas."""
    found = {}
    for name, schema in published().items():
        if name.startswith(prefix) and name != prefix:
            (kind,) = schema["properties"]["type"]["enum"]
            found[kind] = schema
    return found


def kinds_of(value: Shape) -> set[str]:
    """The JSON types that a schema allows."""
    return set(_kinds(value))


def _kinds(value: Shape) -> Iterator[str]:
    value = shape(value)
    for each in ("anyOf", "oneOf", "allOf"):
        for alternative in value.get(each, ()):
            yield from _kinds(alternative)
    if "type" in value:
        yield value["type"]
    elif "properties" in value:
        yield "object"
    elif "enum" in value:
        yield "string"
