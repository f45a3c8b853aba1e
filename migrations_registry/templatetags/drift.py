"""What the templates of the drift pages need."""

from __future__ import annotations

from django import template
from django.utils.safestring import SafeString

from controlplane.core.adminsite.sql import sql_block

register = template.Library()


@register.filter
def sql(text: str, label: str = "SQL") -> SafeString:
    """SQL with its words marked."""
    return sql_block(text, label=label)
