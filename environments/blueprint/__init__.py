"""Blueprints: one YAML file declares an application. ``load`` it, look at its ``plan``, ``apply`` it, ``export`` it again."""

from __future__ import annotations

import os
from pathlib import Path

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator

from controlplane.core import secretrefs
from environments.blueprint.changes import Action, Change
from environments.blueprint.document import Problem
from environments.blueprint.emit import dump
from environments.blueprint.model import Blueprint
from environments.blueprint.parse import BlueprintError, Surroundings, parse
from environments.blueprint.reconcile import apply, plan
from environments.blueprint.state import read
from environments.models import Application

__all__ = ["Action", "Blueprint", "BlueprintError", "Change", "apply", "export", "load", "plan"]


def load(path: Path | str) -> Blueprint:
    """Reads and checks one file. Raises :class:`BlueprintError` with all that is wrong, each with file, line and column."""
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise BlueprintError(str(path), [Problem(0, 0, f"The file can't be read: {error.strerror}.")]) from error
    except UnicodeDecodeError as error:
        raise BlueprintError(str(path), [Problem(0, 0, f"The file is not UTF-8 text (byte {error.start}).")]) from error
    return parse(text, source=str(path), surroundings=Surroundings(_reference_problem, _url_problem, os.environ.get))


def export(application: Application | str) -> str:
    """The blueprint of what the database holds now, as YAML. Raises Application.DoesNotExist for an unknown name."""
    row = Application.objects.get(slug=application) if isinstance(application, str) else application
    return dump(read(row))


def _reference_problem(reference: str) -> str:
    try:
        secretrefs.check(reference)
    except secretrefs.SecretReferenceError as error:
        return str(error)
    return ""


def _url_problem(url: str) -> str:
    try:
        URLValidator(schemes=["http", "https"])(url)
    except ValidationError:
        return "this is not a web address (http:// or https://) that people could open."
    return ""
