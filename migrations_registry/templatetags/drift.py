"""What the templates of the drift pages need."""

from __future__ import annotations

from collections.abc import Iterable

from django import template
from django.utils.safestring import SafeString

from controlplane.core.adminsite.sql import sql_block
from migrations_registry.admin.drift.listing import pick_of

register = template.Library()


@register.filter
def sql(text: str, label: str = "SQL") -> SafeString:
    """SQL with its words marked."""
    return sql_block(text, label=label)


@register.filter
def with_picks(names: Iterable[str]) -> list[tuple[str, str]]:
    """Each name with the word that stands for it in forms."""
    return [(name, pick_of((name,))) for name in names]
