"""Values as plain data and back: what JSON can hold, and a value of the type that its class says.

For every class the way is worked out once: a snapshot of thousands of tables holds tens of thousands of values of few classes.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from functools import cache
from operator import attrgetter
from typing import Any, Union, get_args, get_origin, get_type_hints

from environments.catalog.values import Ref, Snapshot, Table


class UnknownFieldError(TypeError):
    """A field that no value of this version has."""


json_text = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode
_canonical_json = json.JSONEncoder(sort_keys=True, separators=(",", ":"), check_circular=False).encode


def as_text(snapshot: Snapshot) -> str:
    """The snapshot as JSON, without what is at its default."""
    # Object by object: the whole as dictionaries would take many times the memory of the text.
    parts = []
    for name, value in _kept(snapshot):
        if isinstance(value, Mapping):
            entries = ", ".join([f"{json_text(key)}: {json_text(_plain(one))}" for key, one in value.items()])
            parts.append(f"{json_text(name)}: {{{entries}}}")
        elif isinstance(value, tuple):
            parts.append(f"{json_text(name)}: [{', '.join([json_text(_plain(one)) for one in value])}]")
        else:
            parts.append(f"{json_text(name)}: {json_text(value)}")
    return f"{{{', '.join(parts)}}}"


def canonical(snapshot: Snapshot) -> Iterator[str]:
    """All that comparison looks at, as JSON in pieces: equal for databases of equal schema."""
    yield "{"
    separator = ""
    for name in sorted(f.name for f in fields(snapshot)):
        mapping = getattr(snapshot, name)
        # Without empty ones: a kind of object that a later version adds changes no fingerprint of databases that have none.
        if isinstance(mapping, Mapping) and mapping and name not in ("roles", "left_out"):
            yield f"{separator}{_canonical_json(name)}:{{"
            for number, key in enumerate(sorted(mapping)):
                compared = _plain_compared(_in_own_order(mapping[key]))
                yield f"{',' if number else ''}{_canonical_json(key)}:{_canonical_json(compared)}"
            yield "}"
            separator = ","
    yield "}"


def _in_own_order(value: Any) -> Any:
    """A child table with the parents' columns behind its own: where they stand among those changes when it is restored."""
    if not isinstance(value, Table) or not (value.inherits or value.partition_of):
        return value
    inherited = sorted((column for column in value.columns if column.inherited), key=lambda column: column.name)
    return replace(value, columns=(*(column for column in value.columns if not column.inherited), *inherited))


@cache
def _fields(cls: type) -> tuple[tuple[str, Any, Any, bool], ...]:
    """(name, type, default, compared) of a value's class."""
    if cls is Ref:
        return (("kind", str, MISSING, True), ("name", str, MISSING, True))
    hints = get_type_hints(cls)
    return tuple((f.name, hints[f.name], f.default, f.metadata.get("compared", True)) for f in fields(cls))


def _kept(value: Any) -> list[tuple[str, Any]]:
    """The fields of a value that are not at their defaults."""
    return [
        (name, item)
        for name, _, default, _ in _fields(_class(value))
        if (item := getattr(value, name)) is not default and (item != default or type(item) is not type(default))
    ]


def _plain(value: Any) -> Any:
    return _encoder(_class(value), compared_only=False)(value)


def _plain_compared(value: Any) -> Any:
    return _encoder(_class(value), compared_only=True)(value)


@cache
def _encoder(cls: Any, *, compared_only: bool) -> Callable[[Any], Any]:
    """What makes a value of that class something that JSON knows."""
    whole: Any = cls
    if cls is Ref or is_dataclass(cls):
        wanted = [(name, default) for name, _, default, compared in _fields(whole) if compared or not compared_only]
        names, defaults = tuple(name for name, _ in wanted), tuple(default for _, default in wanted)

        def encode(value: Any) -> dict[str, Any]:
            found = {}
            for name, default, item in zip(names, defaults, get(value), strict=True):
                if item is default:
                    continue
                kind = _class(item)
                if kind in _SCALARS:
                    if item != default or kind is not type(default):
                        found[name] = item
                elif item != default:
                    found[name] = _encoder(kind, compared_only=compared_only)(item)
            return found

        get = attrgetter(*names) if len(names) > 1 else lambda value: (getattr(value, names[0]),)
        return encode
    if issubclass(cls, Mapping):
        return lambda value: {key: _encoder(_class(item), compared_only=compared_only)(item) for key, item in value.items()}
    if cls is tuple:
        return lambda value: [_encoder(_class(item), compared_only=compared_only)(item) for item in value]
    return lambda value: value


#: For mypy, to which a class is nothing that a cache can know.
_class: Callable[[Any], Any] = type
_SCALARS = frozenset({str, int, bool, float, type(None)})


def value_of(hint: Any, data: Any) -> Any:
    """``data`` as the type that ``hint`` says. Raises TypeError where it is something else, ValueError for a wrong length."""
    return _decoder(hint)(data)


@cache
def _decoder(hint: Any) -> Callable[[Any], Any]:
    """What makes a value of the type that ``hint`` says from JSON; it raises TypeError where it gets something else."""
    if hint is Ref or is_dataclass(hint):
        return _class_decoder(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        inner = _decoder(next(option for option in arguments if option is not type(None)))
        return lambda data: None if data is None else inner(data)
    if origin is tuple:
        return _tuple_decoder(arguments)
    if origin is not None and issubclass(origin, Mapping):
        decode_item = _decoder(arguments[1])

        def decode_mapping(data: Any) -> Any:
            if type(data) is not dict:
                raise TypeError(f"an object was expected, not {type(data).__name__}")
            return {key: decode_item(item) for key, item in data.items()}

        return decode_mapping

    def decode(data: Any) -> Any:
        if type(data) is hint:
            return data
        if hint is float and type(data) is int:
            return float(data)
        raise TypeError(f"{hint.__name__} was expected, not {type(data).__name__}")

    return decode


def _class_decoder(cls: Any) -> Callable[[Any], Any]:
    known = {name: _decoder(kind) for name, kind, _, _ in _fields(cls)}

    def decode_class(data: Any) -> Any:
        if type(data) is not dict:
            raise TypeError(f"a {cls.__name__} was expected, not {type(data).__name__}")
        try:
            return cls(**{name: known[name](item) for name, item in data.items()})
        except KeyError:
            unknown = ", ".join(sorted(data.keys() - known.keys()))
            raise UnknownFieldError(f"{cls.__name__} has no {unknown} here") from None

    return decode_class


def _tuple_decoder(arguments: tuple[Any, ...]) -> Callable[[Any], Any]:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        decode_item = _decoder(arguments[0])

        def decode_many(data: Any) -> Any:
            if type(data) is not list:
                raise TypeError(f"a list was expected, not {type(data).__name__}")
            return tuple([decode_item(item) for item in data])

        return decode_many
    decoders = [_decoder(kind) for kind in arguments]

    def decode_each(data: Any) -> Any:
        if type(data) is not list:
            raise TypeError(f"a list was expected, not {type(data).__name__}")
        return tuple([decode(item) for decode, item in zip(decoders, data, strict=True)])

    return decode_each
