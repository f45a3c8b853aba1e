"""A blueprint as YAML: what is there, in the words that bring it back."""

from __future__ import annotations

from typing import Any

import yaml
from pydantic import BaseModel

from environments.blueprint.model import Blueprint, Masking


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)  # lists stand below their key, indented

    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """PyYAML writes rare line breaks as they are, and reads them as spaces: in double quotes they are escaped."""
    style = '"' if any(mark in text for mark in "\x85\u2028\u2029\ufeff") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def dump(blueprint: Blueprint) -> str:
    """YAML that parses to the same blueprint. What is at its default is left out."""
    return yaml.dump(_plain(blueprint), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def _plain(value: Any) -> Any:
    if isinstance(value, Masking) and not value.reason:
        return value.strategy
    if isinstance(value, BaseModel):
        result = {}
        for name, field in type(value).model_fields.items():
            part = getattr(value, name)
            if field.is_required() or part != field.default:
                result[field.alias or name] = _plain(part)
        return result
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return value
