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
