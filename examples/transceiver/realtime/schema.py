"""A small notation for the shapes of JSON values, and the checker that reads it.

A shape is a line of fields, separated by blanks: `name=type`, or `name?=type` where the
field may be missing. No other field may be there. A type is one or more of these,
joined by `|`:

    str  str(64)  str(1..64)    text; characters, where limited
    int  int(1..4096)           a whole number; num is any finite one
    bool  null  any  obj        obj: an object of whatever fields
    'text'                      exactly this
    [type]  [type](16)          a list, of so many at most
    @name                       another shape

A shape that starts with `=` is another name for a type. Where several alternatives are
objects, the one whose literals (`type='message'`) fit is meant, so that a problem is
reported where it is and not as "none of these".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

import attrs

__all__ = ["Problem", "Schema"]

# How much of a client's own word an error quotes, characters.
_QUOTED: Final = 64

_FIELD = re.compile(r"(?P<name>[a-z_0-9]+)(?P<optional>\??)=(?P<type>\S+)")
_ATOM = re.compile(
    r"(?P<kind>str|int|num|bool|null|any|obj)(\((?P<range>[^)]*)\))?"
    r"|'(?P<literal>[^']*)'|@(?P<shape>[a-z_0-9.]+)|(?P<list>\[)"
)


@attrs.frozen
class Problem:
    """What is wrong with a value: an error code of the interface, where, and a sentence."""

    code: str
    message: str
    param: str | None = None


@attrs.frozen
class _Kind:
    name: str
    low: float
    high: float


@attrs.frozen
class _Literal:
    text: str


@attrs.frozen
class _Ref:
    shape: str


@attrs.frozen
class _List:
    of: tuple[_Type, ...]
    high: float


_Type: TypeAlias = _Kind | _Literal | _Ref | _List


@attrs.frozen
class _Field:
    name: str
    optional: bool
    types: tuple[_Type, ...]


class Schema:
    """Compiled shapes, by name. Raises ValueError for a notation it cannot read."""

    __slots__ = ("_aliases", "_fields", "_shapes", "_tags")

    def __init__(self, shapes: Mapping[str, str]) -> None:
        self._fields: dict[str, tuple[_Field, ...]] = {}
        self._aliases: dict[str, tuple[_Type, ...]] = {}
        for name, text in shapes.items():
            if text.startswith("="):
                self._aliases[name] = _parse_types(text[1:].strip())
            else:
                self._fields[name] = tuple(_parse_fields(text))
        for shape in self._references():
            if shape not in self._fields and shape not in self._aliases:
                raise ValueError(f"no shape is called {shape}")
        # For checking: other names are resolved, and what tells objects apart is known.
        self._fields = {
            name: tuple(attrs.evolve(field, types=self._plain(field.types)) for field in fields)
            for name, fields in self._fields.items()
        }
        self._shapes = {name: self._plain((_Ref(name),)) for name in shapes}
        self._tags = {
            name: {field.name: texts for field in fields if (texts := _tag_texts(field))}
            for name, fields in self._fields.items()
        }

    def __contains__(self, name: object) -> bool:
        return name in self._fields or name in self._aliases

    def fields(self, name: str) -> dict[str, bool]:
        """The fields of a shape, and whether each must be there."""
        return {field.name: not field.optional for field in self._fields[name]}

    def kinds(self, name: str, field: str) -> set[str]:
        """Which JSON types a field may have: string, integer, number, boolean, null,
        array, object or any."""
        found = next(each for each in self._fields[name] if each.name == field)
        return {kind for type_ in found.types for kind in self._kinds(type_)}

    def literals(self, name: str, field: str) -> set[str]:
        """The texts that a field may be, if it may be nothing else of text."""
        found = next(each for each in self._fields[name] if each.name == field)
        return {type_.text for type_ in self._flat(found.types) if isinstance(type_, _Literal)}

    def check(self, name: str, value: object, path: str = "") -> list[Problem]:
        """What is wrong with `value` as a `name`; nothing is raised for any value."""
        return list(self._check_types(self._shapes[name], value, path))

    def first(self, name: str, value: object, path: str = "") -> Problem | None:
        """The first thing that is wrong, found without looking further."""
        return next(self._check_types(self._shapes[name], value, path), None)

    # -- Reading the compiled form

    def _references(self) -> Iterator[str]:
        stack: list[_Type] = [type_ for types in self._aliases.values() for type_ in types]
        stack += [t for fields in self._fields.values() for field in fields for t in field.types]
        while stack:
            type_ = stack.pop()
            if isinstance(type_, _Ref):
                yield type_.shape
            elif isinstance(type_, _List):
                stack.extend(type_.of)

    def _flat(self, types: tuple[_Type, ...]) -> Iterator[_Type]:
        for type_ in types:
            if isinstance(type_, _Ref) and type_.shape in self._aliases:
                yield from self._flat(self._aliases[type_.shape])
            else:
                yield type_

    def _plain(self, types: tuple[_Type, ...]) -> tuple[_Type, ...]:
        """The types without other names, in lists as well."""
        return tuple(
            _List(self._plain(each.of), each.high) if isinstance(each, _List) else each
            for each in self._flat(types)
        )

    def _kinds(self, type_: _Type) -> Iterator[str]:
        for each in self._flat((type_,)):
            match each:
                case _Kind():
                    yield _JSON_NAMES[each.name]
                case _Literal():
                    yield "string"
                case _List():
                    yield "array"
                case _Ref():
                    yield "object"

    # -- Checking

    def _check_types(self, types: tuple[_Type, ...], value: object, path: str) -> Iterator[Problem]:
        if isinstance(value, dict):
            objects = [each for each in types if isinstance(each, _Ref)]
            for each in objects:
                if self._tags_fit(each.shape, value):
                    yield from self._check_fields(each.shape, value, path)
                    return
            if objects:
                yield self._no_tag_fits(objects, value, path)
                return
        found: Problem | None = None
        for type_ in types:
            if isinstance(type_, _List):
                if isinstance(value, list):
                    yield from self._check_list(type_, value, path)
                    return
                continue
            problem = _check_atom(type_, value, path)
            if problem is None:
                return
            # A value of the right kind that is out of range says more than a wrong kind.
            if found is None or problem.code == "invalid_value":
                found = problem
        if found is not None and found.code == "invalid_value":
            literals = [each.text for each in types if isinstance(each, _Literal)]
            yield _not_one_of(literals, path) if literals else found
            return
        names = sorted({name for each in types for name in self._kinds(each)})
        yield Problem("invalid_type", f"{_at(path)} has to be {' or '.join(names)}", path or None)

    def _check_list(self, type_: _List, value: list[object], path: str) -> Iterator[Problem]:
        if len(value) > type_.high:
            yield Problem(
                "array_above_max_length", f"{_at(path)} has more than {type_.high} elements", path
            )
            return
        for index, each in enumerate(value):
            yield from self._check_types(type_.of, each, f"{path}[{index}]")

    def _check_fields(
        self, shape: str, value: Mapping[str, object], path: str
    ) -> Iterator[Problem]:
        known = set()
        for field in self._fields[shape]:
            known.add(field.name)
            where = _join(path, field.name)
            if field.name in value:
                yield from self._check_types(field.types, value[field.name], where)
            elif not field.optional:
                yield Problem("missing_required_parameter", f"{where} is missing", where)
        for name in value:
            if name not in known:
                where = _join(path, name[:_QUOTED])
                yield Problem("unknown_parameter", f"{where} is not known here", where)

    def _tags_fit(self, shape: str, value: Mapping[str, object]) -> bool:
        for name, texts in self._tags[shape].items():
            found = value.get(name)
            if not isinstance(found, str) or found not in texts:
                return False
        return True

    def _no_tag_fits(
        self, objects: Sequence[_Ref], value: Mapping[str, object], path: str
    ) -> Problem:
        """The first tag that no alternative has, going by those that fit so far."""
        remaining = [self._tags[each.shape] for each in objects]
        for name in ("type", "role"):
            known = [text for tags in remaining for text in tags.get(name, ())]
            if not known:
                continue
            where = _join(path, name)
            if name not in value:
                return Problem("missing_required_parameter", f"{where} is missing", where)
            fitting = [tags for tags in remaining if value[name] in tags.get(name, ())]
            if not fitting:
                return _not_one_of(known, where)
            remaining = fitting
        return Problem("invalid_value", f"{_at(path)} is none of the known objects", path or None)


_JSON_NAMES: Final = {
    "str": "string",
    "int": "integer",
    "num": "number",
    "bool": "boolean",
    "null": "null",
    "any": "any",
    "obj": "object",
}

_TESTS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "str": lambda value: isinstance(value, str),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    # An int is compared as it is: it may be too large to become a float.
    "num": lambda value: (
        (isinstance(value, int) and not isinstance(value, bool))
        or (isinstance(value, float) and math.isfinite(value))
    ),
    "bool": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "any": lambda _: True,
    "obj": lambda value: isinstance(value, dict),
}


def _tag_texts(field: _Field) -> list[str]:
    """The texts of a field that is nothing but a literal: it tells objects apart."""
    literals = [each.text for each in field.types if isinstance(each, _Literal)]
    return literals if len(literals) == len(field.types) and not field.optional else []


def _check_atom(type_: _Type, value: object, path: str) -> Problem | None:
    if isinstance(type_, _Literal):
        if value == type_.text:
            return None
        if isinstance(value, str):
            return _not_one_of([type_.text], path)
        return Problem("invalid_type", "", path)
    if not isinstance(type_, _Kind) or not _TESTS[type_.name](value):
        return Problem("invalid_type", "", path)
    size: Any = len(value) if isinstance(value, str) else value
    if type_.name in ("str", "int", "num") and not type_.low <= size <= type_.high:
        what = "characters of " if type_.name == "str" else ""
        return Problem(
            "invalid_value",
            f"{what}{_at(path)}: {_number(type_.low)} to {_number(type_.high)} are allowed",
            path or None,
        )
    return None


def _not_one_of(texts: Sequence[str], path: str) -> Problem:
    known = ", ".join(f"'{text}'" for text in dict.fromkeys(texts))
    return Problem("invalid_value", f"{_at(path)} has to be one of {known}", path or None)


def _at(path: str) -> str:
    return path or "the value"


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _number(value: float) -> str:
    return f"{value:g}"


# -- Reading the notation


def _parse_fields(text: str) -> Iterator[_Field]:
    for part in text.split():
        match = _FIELD.fullmatch(part)
        if match is None:
            raise ValueError(f"cannot read the field {part!r}")
        yield _Field(match["name"], bool(match["optional"]), _parse_types(match["type"]))


def _parse_types(text: str) -> tuple[_Type, ...]:
    types, rest = _read_types(text)
    if rest:
        raise ValueError(f"cannot read {rest!r} in the type {text!r}")
    return types


def _read_types(text: str) -> tuple[tuple[_Type, ...], str]:
    types: list[_Type] = []
    while True:
        match = _ATOM.match(text)
        if match is None:
            raise ValueError(f"cannot read the type {text!r}")
        rest = text[match.end() :]
        if match["list"]:
            inner, rest = _read_types(rest)
            if not rest.startswith("]"):
                raise ValueError(f"a list does not end in {text!r}")
            limit = re.match(r"\]\((\d+)\)", rest)
            types.append(_List(inner, float(limit[1]) if limit else math.inf))
            rest = rest[limit.end() if limit else 1 :]
        elif match["shape"]:
            types.append(_Ref(match["shape"]))
        elif match["kind"]:
            types.append(_Kind(match["kind"], *_parse_range(match["range"])))
        else:
            types.append(_Literal(match["literal"]))
        if not rest.startswith("|"):
            return tuple(types), rest
        text = rest[1:]


def _parse_range(text: str | None) -> tuple[float, float]:
    if not text:
        return -math.inf, math.inf
    low, dots, high = text.partition("..")
    if not dots:
        return 0, float(low)
    return float(low or "-inf"), float(high or "inf")
