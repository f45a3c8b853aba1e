"""Extensions, event triggers, statistics, text search, foreign servers, replication, roles and their defaults."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from environments.catalog.access import normalise
from environments.catalog.members import enabled
from environments.catalog.names import dotted
from environments.catalog.values import (
    OWNER,
    DefaultPrivileges,
    EventTrigger,
    Extension,
    ForeignDataWrapper,
    NotSeen,
    Publication,
    PublishedTable,
    Ref,
    Role,
    Server,
    Settings,
    Statistics,
    Subscription,
    TextSearchConfiguration,
    TextSearchDictionary,
    UserMapping,
)

if TYPE_CHECKING:
    from environments.catalog.profiles import Profile
    from environments.catalog.reader import Reading

OBJECTS = {"r": "tables", "S": "sequences", "f": "functions", "T": "types", "n": "schemas", "L": "large objects"}
OBJECT_KINDS = {
    "tables": "table", "sequences": "sequence", "functions": "function", "types": "type", "schemas": "schema",
    "large objects": "large object",
}  # fmt: skip


def build(reading: Reading, profile: Profile) -> dict[str, Any]:
    return {
        "extensions": _extensions(reading, profile),
        "event_triggers": _event_triggers(reading, profile),
        "statistics": _statistics(reading),
        "text_search_configurations": _configurations(reading),
        "text_search_dictionaries": _dictionaries(reading),
        "foreign_data_wrappers": _wrappers(reading),
        "servers": _servers(reading),
        "user_mappings": _user_mappings(reading),
        "publications": _publications(reading, profile),
        "subscriptions": _subscriptions(reading),
        "default_privileges": _default_privileges(reading, profile),
        "settings": {f"settings of {row.role or 'all roles'}": Settings(row.role, tuple(sorted(row.setconfig)))
                     for row in reading.rows["settings"]},
        "roles": _roles(reading, profile),
    }  # fmt: skip


def _sorted(values: list[str] | None) -> tuple[str, ...]:
    return tuple(sorted(values or ()))


def _extensions(reading: Reading, profile: Profile) -> dict[str, Extension]:
    found = {}
    for row in reading.rows["extensions"]:
        reading.name("pg_extension", row.oid, Ref("extension", dotted(row.name)))
        if profile.leaves_out("extensions", row.name):
            reading.leave_out("extensions", row.name)
        else:
            comment = reading.access.comment("pg_extension", row.oid)
            found[dotted(row.name)] = Extension(row.name, row.schema, row.version, comment)
    return found


def _event_triggers(reading: Reading, profile: Profile) -> dict[str, EventTrigger]:
    found = {}
    for row in reading.rows["event_triggers"]:
        if profile.leaves_out("event_triggers", row.name):
            reading.leave_out("event_triggers", row.name)
            continue
        reading.name("pg_event_trigger", row.oid, Ref("event trigger", dotted(row.name)))
        comment = reading.access.comment("pg_event_trigger", row.oid)
        found[dotted(row.name)] = EventTrigger(
            row.name, row.event, row.function, _sorted(row.tags), enabled(row.enabled), row.owner, comment
        )
    return found


def _statistics(reading: Reading) -> dict[str, Statistics]:
    found = {}
    for row in reading.rows["statistics"]:
        name = dotted(row.schema, row.name)
        reading.name("pg_statistic_ext", row.oid, Ref("statistics", name))
        table = reading.refs.get((1259, row.stxrelid, 0))
        comment = reading.access.comment("pg_statistic_ext", row.oid)
        found[name] = Statistics(
            row.schema, row.name, row.definition, table.name if table else "", row.target, row.owner, comment
        )
    return found


def _configurations(reading: Reading) -> dict[str, TextSearchConfiguration]:
    found = {}
    for row in reading.rows["ts_configs"]:
        name = dotted(row.schema, row.name)
        reading.name("pg_ts_config", row.oid, Ref("text search configuration", name))
        mappings: dict[str, list[str]] = {}
        for token, dictionary in row.mappings:
            mappings.setdefault(token, []).append(dictionary)
        found[name] = TextSearchConfiguration(
            row.schema, row.name, row.parser, tuple((token, tuple(names)) for token, names in mappings.items()), row.owner,
            reading.access.comment("pg_ts_config", row.oid),
        )  # fmt: skip
    return found


def _dictionaries(reading: Reading) -> dict[str, TextSearchDictionary]:
    found = {}
    for row in reading.rows["ts_dictionaries"]:
        name = dotted(row.schema, row.name)
        reading.name("pg_ts_dict", row.oid, Ref("text search dictionary", name))
        comment = reading.access.comment("pg_ts_dict", row.oid)
        found[name] = TextSearchDictionary(row.schema, row.name, row.template, row.options or "", row.owner, comment)
    return found


def _wrappers(reading: Reading) -> dict[str, ForeignDataWrapper]:
    found = {}
    for row in reading.rows["wrappers"]:
        reading.name("pg_foreign_data_wrapper", row.oid, Ref("foreign data wrapper", dotted(row.name)))
        found[dotted(row.name)] = ForeignDataWrapper(
            row.name, row.handler or "", row.validator or "", _sorted(row.options), row.owner,
            reading.access.comment("pg_foreign_data_wrapper", row.oid), reading.access.grants("pg_foreign_data_wrapper", row.oid),
        )  # fmt: skip
    return found


def _servers(reading: Reading) -> dict[str, Server]:
    found = {}
    for row in reading.rows["servers"]:
        reading.name("pg_foreign_server", row.oid, Ref("server", dotted(row.name)))
        found[dotted(row.name)] = Server(
            row.name, row.wrapper, row.type or "", row.version or "", _sorted(row.options), row.owner,
            reading.access.comment("pg_foreign_server", row.oid), reading.access.grants("pg_foreign_server", row.oid),
        )  # fmt: skip
    return found


def _user_mappings(reading: Reading) -> dict[str, UserMapping]:
    found = {}
    for row in reading.rows["user_mappings"]:
        name = f"{dotted(row.user)} ON {dotted(row.server)}"
        if row.unseen:
            reason = "Options of a user mapping are shown to its own user and to the owner of the server only."
            reading.not_seen.append(NotSeen(f"user mapping {name}", reason, f"Connect as the owner of server {row.server}."))
        found[name] = UserMapping(row.server, row.user, tuple(row.options or ()), tuple(row.hidden or ()))
    return found


def _publications(reading: Reading, profile: Profile) -> dict[str, Publication]:
    tables: dict[int, list[PublishedTable]] = defaultdict(list)
    relations: dict[int, int] = {}
    for row in reading.rows["published_tables"]:
        relations[row.oid] = row.prpubid
        tables[row.prpubid].append(PublishedTable(row.table, tuple(row.columns or ()), row.qual or ""))
    found = {}
    for row in reading.rows["publications"]:
        if profile.leaves_out("publications", row.name):
            reading.leave_out("publications", row.name)
            continue
        ref = Ref("publication", dotted(row.name))
        reading.name("pg_publication", row.oid, ref)
        for oid in (oid for oid, publication in relations.items() if publication == row.oid):
            reading.name("pg_publication_rel", oid, ref)  # its column list and row filter stand on columns
        flags = {"insert": row.pubinsert, "update": row.pubupdate, "delete": row.pubdelete, "truncate": row.pubtruncate}
        found[dotted(row.name)] = Publication(
            name=row.name, all_tables=row.all_tables, tables=tuple(tables[row.oid]), schemas=tuple(row.schemas),
            publish=tuple(name for name, on in flags.items() if on), via_root=row.via_root,
            generated_columns=row.generated or "", owner=row.owner, comment=reading.access.comment("pg_publication", row.oid),
        )  # fmt: skip
    return found


def _subscriptions(reading: Reading) -> dict[str, Subscription]:
    found = {}
    for row in reading.rows["subscriptions"]:
        reading.name("pg_subscription", row.oid, Ref("subscription", dotted(row.name)))
        reason = "The connection string of a subscription holds a password and is never read."
        reading.not_seen.append(NotSeen(f"subscription {dotted(row.name)}: connection", reason))
        found[dotted(row.name)] = Subscription(
            row.name, _sorted(row.publications), row.enabled, row.slot or "", row.synchronous_commit, row.binary,
            {"f": "off", "false": "off", "t": "on", "true": "on", "p": "parallel"}.get(row.stream, ""), row.two_phase,
            row.disable_on_error, row.origin, row.run_as_owner, row.password_required, row.failover, row.owner,
            reading.access.comment("pg_subscription", row.oid),
        )  # fmt: skip
    return found


def _default_privileges(reading: Reading, profile: Profile) -> dict[str, DefaultPrivileges]:
    grants: dict[tuple[str, str, str], list[tuple[str, str, bool]]] = defaultdict(list)
    for row in reading.rows["default_privileges"]:
        objects = OBJECTS[row.objects]
        if profile.has_role(row.role) or profile.leaves_out("schemas", row.schema):
            reading.leave_out("default privileges", f"{objects} of {dotted(row.role)} {row.schema}".rstrip())
        elif objects in OBJECT_KINDS:
            entries = grants[row.role, row.schema, objects]
            if row.privilege is not None:
                entries.append((OWNER if row.to_owner else row.grantee_name, row.privilege, row.grantable))
    found = {}
    for (role, schema, objects), entries in sorted(grants.items()):
        name = f"{objects} of {dotted(role)}" + (f" in {dotted(schema)}" if schema else "")
        found[name] = DefaultPrivileges(role, schema, objects, normalise(OBJECT_KINDS[objects], entries))
    return found


def _roles(reading: Reading, profile: Profile) -> dict[str, Role]:
    found = {}
    for row in reading.rows["roles"]:
        if profile.leaves_out("roles", row.name):
            reading.leave_out("roles", row.name)
            continue
        flags = {
            "SUPERUSER": row.rolsuper, "NOINHERIT": not row.rolinherit, "CREATEROLE": row.rolcreaterole,
            "CREATEDB": row.rolcreatedb, "LOGIN": row.rolcanlogin, "REPLICATION": row.rolreplication,
            "BYPASSRLS": row.rolbypassrls,
        }  # fmt: skip
        found[dotted(row.name)] = Role(
            row.name, tuple(name for name, on in flags.items() if on), row.rolconnlimit, row.valid_until or "",
            tuple(row.member_of), _sorted(row.settings), reading.access.comment("pg_authid", row.oid),
        )  # fmt: skip
    return found
