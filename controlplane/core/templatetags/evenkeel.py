"""The pieces of :mod:`controlplane.core.adminsite.present` for templates."""

from __future__ import annotations

from typing import Any

from django import template

from controlplane.core.adminsite import present

register = template.Library()
register.filter("ago", present.ago)
register.filter("when", present.when)
register.filter("span", present.span)
register.filter("state_badge", present.state_badge)
register.filter("admin_link", present.link)
register.filter("url_of", present.url_of)
register.simple_tag(present.badge, name="badge")
register.simple_tag(present.empty, name="empty")
register.simple_tag(present.progress, name="progress")
register.simple_tag(present.list_url, name="list_url")


@register.filter
def admin_name(opts: Any, view: str) -> str:
    """ "admin:core_job_history" for the options of Job and "history"."""
    return f"admin:{opts.app_label}_{opts.model_name}_{view}"
