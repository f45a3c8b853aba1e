"""What must hold between the parts of a blueprint. Works on data that may be partly wrong, so that all problems show at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from environments.blueprint.document import Document, Path
from environments.blueprint.model import CLEANUP_SPEC, TRUST


def mappings(value: object) -> list[tuple[str, dict[str, Any]]]:
    """The entries of a mapping that are mappings themselves; nothing for anything else."""
    return [(name, entry) for name, entry in value.items() if isinstance(entry, dict)] if isinstance(value, dict) else []


def environments(data: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return dict(mappings(data.get("environments")))


def components(data: dict[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    for environment, declared in environments(data).items():
        for name, component in mappings(declared.get("components")):
            yield ("environments", environment, "components", name), component


def databases(data: dict[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    for environment, declared in environments(data).items():
        for name, database in mappings(declared.get("databases")):
            yield ("environments", environment, "databases", name), database


def check(document: Document) -> None:
    """Reports every broken rule at its line."""
    _one_source_of_truth(document)
    _protection(document)
    _promotion_order(document)
    _databases(document)
    _variables(document)
    _masking(document)
    _syncs(document)
    _cleanups(document)


def _one_source_of_truth(document: Document) -> None:
    first = ""
    for name, environment in environments(document.data).items():
        if environment.get("source_of_truth") is True:
            if first:
                path = ("environments", name, "source_of_truth")
                document.report(path, f"{first!r} is the source of truth already; an application has one.")
            first = first or name


def _protection(document: Document) -> None:
    for name, environment in environments(document.data).items():
        path = ("environments", name)
        protected = environment.get("protected", False)
        if environment.get("tier") == "production" and protected is False:
            where = (*path, "protected") if "protected" in environment else (*path, "tier")
            document.report(where, f"{name!r} is production and must be protected: write 'protected: true'.")
        elif protected is True and environment.get("required_approvals", 0) == 0:
            where = (*path, "required_approvals") if "required_approvals" in environment else (*path, "protected")
            document.report(where, f"{name!r} is protected and needs 'required_approvals' of at least 1.")


def _promotion_order(document: Document) -> None:
    known = environments(document.data)
    for name, environment in known.items():
        source, path = environment.get("promotes_from"), ("environments", name, "promotes_from")
        if not isinstance(source, str) or not _is_known(document, path, source, "environment", list(known)):
            continue
        own, before = environment.get("order"), known[source].get("order")
        if source == name:
            document.report(path, f"{name!r} can't be promoted from itself.")
        elif isinstance(own, int) and isinstance(before, int) and before >= own:
            document.report(path, f"{source!r} (order {before}) must come before {name!r} (order {own}).")


def _databases(document: Document) -> None:
    used: dict[str, Path] = {}
    for path, database in databases(document.data):
        for key in ("dsn", "read_dsn"):
            reference = database.get(key)
            if isinstance(reference, str) and reference and (*path, key) not in document.withheld:
                first = used.setdefault(reference, path)
                if first != path:
                    document.report(
                        (*path, key), f"{first[1]}/{first[3]} has this reference already: two databases can't be one."
                    )
        schemas = database.get("schemas")
        for index, table in enumerate(_texts(database.get("parity_tables"))):
            if isinstance(schemas, list) and schemas and table.partition(".")[0] not in schemas:
                document.report((*path, "parity_tables", index), f"{table} is in none of the schemas of this database.")


def _variables(document: Document) -> None:
    known = list(environments(document.data))
    names = sorted({str(path[-1]) for path, _ in components(document.data)})
    seen: dict[tuple[str, str], int] = {}
    rules = document.data.get("variables")
    for index, rule in enumerate(rules if isinstance(rules, list) else []):
        if not isinstance(rule, dict):
            continue
        path, component, key = ("variables", index), str(rule.get("component") or ""), str(rule.get("key") or "")
        if component:
            _is_known(document, (*path, "component"), component, "component", names)
        if key and (component, key) in seen:
            document.report((*path, "key"), f"{key!r} has a rule already, in line {seen[component, key]}.")
        seen.setdefault((component, key), document.values.get((*path, "key"), (0, 0))[0])
        if rule.get("require_tls") is True and rule.get("kind") != "postgres":
            document.report((*path, "require_tls"), "'require_tls' is for variables of the kind 'postgres'.")
        per_environment = rule.get("per_environment")
        for name in per_environment if isinstance(per_environment, dict) else ():
            _is_known(document, (*path, "per_environment", name), name, "environment", known, key=True)


def _masking(document: Document) -> None:
    for table, columns in mappings(document.data.get("masking")):
        for column, rule in mappings(columns):
            if rule.get("strategy") == "keep" and not rule.get("reason"):
                message = f"Keeping {table}.{column} needs a reason: write '{column}: {{strategy: keep, reason: WHY}}'."
                document.report(("masking", table, column), message)


def _syncs(document: Document) -> None:
    known = environments(document.data)
    for name, plan in mappings(document.data.get("sync")):
        path: Path = ("sync", name)
        ends = [plan.get("from"), plan.get("to")]
        found = [
            isinstance(end, str) and _is_known(document, (*path, key), end, "environment", list(known))
            for key, end in zip(("from", "to"), ends, strict=True)
        ]
        if not all(found):
            continue
        source, target = known[str(ends[0])], known[str(ends[1])]
        trust = [TRUST.get(str(end.get("tier"))) for end in (source, target)]
        if trust[0] is not None and trust[1] is not None and trust[0] <= trust[1]:
            document.report(
                (*path, "from"),
                f"Data flows only to less trusted environments: from {ends[0]!r} ({source['tier']}) it can't go to "
                f"{ends[1]!r} ({target['tier']}).",
            )
        elif target.get("data_class") == "synthetic" and source.get("data_class") != "synthetic":
            document.report((*path, "to"), f"{ends[1]!r} holds synthetic data only; not even masked copies may go there.")
        for key, end, environment in (("from", ends[0], source), ("to", ends[1], target)):
            if not mappings(environment.get("databases")):
                document.report((*path, key), f"{end!r} has no database.")


def _cleanups(document: Document) -> None:
    for name, rule in mappings(document.data.get("cleanup")):
        kind = rule.get("kind")
        if not isinstance(kind, str) or kind not in CLEANUP_SPEC:
            continue
        wanted = CLEANUP_SPEC[kind]
        missing = [key for key in wanted if rule.get(key) in (None, [])]
        if missing:
            message = f"{name!r} lacks {', '.join(missing)}: rules of the kind {kind!r} need them."
            document.report(("cleanup", name), message, key=True)
        for key in sorted({name for spec in CLEANUP_SPEC.values() for name in spec} - set(wanted)):
            if key in rule:
                document.report(("cleanup", name, key), f"{key!r} means nothing for the kind {kind!r}.", key=True)


def _is_known(document: Document, path: Path, name: str, what: str, known: list[str], *, key: bool = False) -> bool:
    if name in known:
        return True
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else f" There are: {', '.join(known) or 'none'}."
    document.report(path, f"There is no {what} of the name {name!r}.{hint}", key=key)
    return False


def _texts(value: object) -> list[str]:
    return [entry for entry in value if isinstance(entry, str)] if isinstance(value, list) else []
