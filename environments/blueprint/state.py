"""A blueprint as flat facts, from the file or from the database: the same facts, so that they can be compared and written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from django.db import models

from environments.blueprint.model import (
    Blueprint,
    Cleanup,
    Component,
    Database,
    Environment,
    Masking,
    Sync,
    Variable,
    cleanup_spec,
)
from environments.models import (
    Application,
    CleanupRule,
    ManagedDatabase,
    MaskingRule,
    SyncPlan,
    VariableRule,
)
from environments.models import Component as ComponentRow
from environments.models import Environment as EnvironmentRow

#: Names from the application down to the thing itself: ("staging", "web").
Name: TypeAlias = tuple[str, ...]
Fact: TypeAlias = tuple[str, Name]
State: TypeAlias = "dict[Fact, dict[str, Any]]"


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of fact is stored: its model, the fields of its name, and key -> field where they are called differently."""

    model: type[models.Model]
    name: tuple[str, ...]
    fields: dict[str, str]
    #: Keys whose value is the name of an environment.
    environments: tuple[str, ...] = ()

    def field(self, key: str) -> str:
        return self.fields.get(key, key)


#: In the order in which they are written; deleted in the reverse order.
KINDS: dict[str, Kind] = {
    "application": Kind(Application, (), {}),
    "environment": Kind(EnvironmentRow, ("name",), {"source_of_truth": "is_source_of_truth"}, ("promotes_from",)),
    "component": Kind(ComponentRow, ("environment__name", "name"), {"variables": "variables_ref"}),
    "database": Kind(ManagedDatabase, ("environment__name", "name"), {"dsn": "dsn_ref", "read_dsn": "read_dsn_ref"}),
    "variable": Kind(VariableRule, ("component", "key"), {}),
    "masking": Kind(MaskingRule, ("table", "column"), {}),
    "sync": Kind(SyncPlan, ("name",), {"from": "source", "to": "target"}, ("from", "to")),
    "cleanup": Kind(CleanupRule, ("name",), {}),
}
_SEPARATORS = {"database": ":", "masking": ".", "variable": " "}


def label(application: str, fact: Fact) -> str:
    """What people call it: ibam/staging/web, ibam/staging:main, public.learners.email."""
    kind, name = fact
    if kind in ("environment", "component", "database"):
        return f"{application}/" + _SEPARATORS.get(kind, "/").join(name)
    return _SEPARATORS.get(kind, "/").join(part for part in name if part) or application


def declared(blueprint: Blueprint) -> State:
    """The facts that a blueprint states."""
    state: State = {("application", ()): {"name": blueprint.name, "description": blueprint.description}}
    # By order: an environment is promoted from an earlier one, which must be there first.
    for name, environment in sorted(blueprint.environments.items(), key=lambda item: item[1].order):
        state["environment", (name,)] = environment.model_dump(exclude={"components", "databases"}, warnings=False)
    for name, environment in blueprint.environments.items():
        for component, declaration in environment.components.items():
            state["component", (name, component)] = declaration.model_dump(warnings=False)
        for database, description in environment.databases.items():
            state["database", (name, database)] = description.model_dump(warnings=False)
    for variable in blueprint.variables:
        state["variable", (variable.component, variable.key)] = variable.model_dump(exclude={"component", "key"}, warnings=False)
    for table, columns in blueprint.masking.items():
        for column, masking in columns.items():
            state["masking", (table, column)] = masking.model_dump(warnings=False)
    for name, plan in blueprint.sync.items():
        state["sync", (name,)] = plan.model_dump(by_alias=True, warnings=False)
    for name, rule in blueprint.cleanup.items():
        spec = {"kind": rule.kind, "table": rule.table, "spec": cleanup_spec(rule), "enabled": rule.enabled}
        state["cleanup", (name,)] = spec
    return state


def stored(application: Application) -> State:
    """The facts that the database holds, in the form of :func:`declared`."""
    state = declared(read(application))
    for rule in application.cleanup_rules.all():
        state["cleanup", (rule.name,)]["spec"] = rule.spec
    return state


def read(application: Application) -> Blueprint:
    """The blueprint of what is in the database. Nothing is validated: what an operator changed shows as it is."""
    environments = {
        row.name: Environment.model_construct(
            tier=row.tier, order=row.order, data_class=row.data_class, source_of_truth=row.is_source_of_truth,
            promotes_from=row.promotes_from.name if row.promotes_from else None, protected=row.protected,
            required_approvals=row.required_approvals, soak_seconds=row.soak_seconds, migrations_dir=row.migrations_dir,
            components={
                c.name: Component.model_construct(
                    kind=c.kind, provider=c.provider, external_ids=c.external_ids, settings=c.settings,
                    health_url=c.health_url, variables=c.variables_ref,
                )
                for c in row.components.all()
            },
            databases={
                d.name: Database.model_construct(
                    dsn=d.dsn_ref, read_dsn=d.read_dsn_ref, schemas=d.schemas, external_ids=d.external_ids,
                    parity_tables=d.parity_tables, schema_profile=d.schema_profile, leave_out=d.leave_out,
                )
                for d in row.databases.all()
            },
        )
        for row in application.environments.select_related("promotes_from").prefetch_related("components", "databases")
    }  # fmt: skip
    masking: dict[str, dict[str, Masking]] = {}
    for mask in application.masking_rules.all():
        masking.setdefault(mask.table, {})[mask.column] = Masking.model_construct(strategy=mask.strategy, reason=mask.reason)
    return Blueprint.model_construct(
        application=application.slug,
        name=application.name,
        description=application.description,
        environments=environments,
        variables=[
            Variable.model_construct(
                key=v.key, component=v.component, required=v.required, secret=v.secret, kind=v.kind, allowed=v.allowed,
                per_environment=v.per_environment, require_tls=v.require_tls, allow_local=v.allow_local,
            )
            for v in application.variable_rules.all()
        ],
        masking=masking,
        sync={
            p.name: Sync.model_construct(source=p.source.name, target=p.target.name, tables=p.tables, scheduled=p.scheduled)
            for p in application.sync_plans.select_related("source", "target")
        },
        cleanup={
            r.name: Cleanup.model_construct(kind=r.kind, table=r.table, enabled=r.enabled, **_spec(r))
            for r in application.cleanup_rules.all()
        },
    )  # fmt: skip


def _spec(rule: CleanupRule) -> dict[str, Any]:
    return rule.spec if isinstance(rule.spec, dict) else {}
