"""A repair from the choice of differences to a migration: shown, proven in the background, registered as it was shown."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from controlplane.core import audit, jobs
from environments.catalog import fingerprint
from environments.services.errors import Conflict, NotAllowed, ServiceError, Stale
from migrations_registry.lint.engine import lint
from migrations_registry.models import Migration, ProposedRepair
from migrations_registry.runner.script import checksum
from migrations_registry.schema import Repair, suggest_renames
from migrations_registry.schema.items import items
from migrations_registry.schema.lossy import loses
from migrations_registry.schema.proof import Proof, ScratchError, prove_repair
from migrations_registry.services import repairs
from migrations_registry.services.drift import Drift, Key, look
from migrations_registry.services.registry import ADD

KIND = "schema.prove"
#: A repair that nobody made a migration of is forgotten after this long.
KEPT_FOR = timedelta(days=30)


def propose(
    *,
    drift: Drift,
    keys: Collection[Key],
    allowed: Callable[[str], bool],
    renames: Callable[[str], bool],
    moments: tuple[Any, Any],
    page_digest: str,
    asked: Mapping[str, str],
    actor: audit.Actor,
) -> ProposedRepair:
    """The repair of the chosen differences, kept to be looked at; the row of the same one where somebody was shown it before.

    ``allowed`` is asked by the name of each object that loses something, ``renames`` by each suggestion ("column:a.b.c=d");
    ``moments`` are those of base and target, None for now. Raises ServiceError.
    """
    base, target = drift.base_snapshot, drift.target_snapshot
    left, right = items(base), items(target)
    losing = {str(d.ref()) for d in drift.open if (d.kind, d.object, d.property) in keys and loses(d, left, right)}
    may_lose = sorted(name for name in losing if allowed(name))
    suggested = [one for one in suggest_renames(base, target, drift.result) if _concerns(one.kind, one.old, one.new, keys)]
    chosen = sorted(one.option for one in suggested if renames(one.option))
    made, _ = repairs.repair_of_chosen(
        repairs.Read(base, target, frozenset(keys), tuple(chosen)), allow_lossy=frozenset(may_lose)
    )
    sql, revert_sql = repairs.as_migration(made, drift.base)
    named = sorted(list(key) for key in keys)
    whole = [page_digest, *(str(m) for m in moments), json.dumps([named, may_lose, chosen]), sql, revert_sql]
    content = {
        **_told(made, sql, losing - set(may_lose)),
        "suggested": [{**one.as_json(), "chosen": one.option in chosen} for one in suggested],
    }
    row, _ = ProposedRepair.objects.get_or_create(
        digest=hashlib.sha256("\0".join(whole).encode()).hexdigest(),
        defaults={
            "base": drift.base, "target": drift.target, "base_at": moments[0], "target_at": moments[1],
            "base_fingerprint": fingerprint(base), "target_fingerprint": fingerprint(target),
            "page_digest": page_digest, "asked": dict(asked), "keys": named, "allowed": may_lose, "renames": chosen,
            "sql": sql, "revert_sql": revert_sql, "content": content, "created_by": actor,
        },
    )  # fmt: skip
    return row


def _concerns(kind: str, old: str, new: str, keys: Collection[Key]) -> bool:
    if kind == "label":
        return ("enum", old.rpartition(".")[0], "values") in keys
    return (kind, old, "") in keys or (kind, new, "") in keys


def _told(made: Repair, sql: str, can_be_allowed: set[str]) -> dict[str, Any]:
    locks = Counter(statement.lock for statement in made.statements if statement.lock)
    findings = lint(sql).findings if made.statements else ()
    return {
        "statements": len(made.statements),
        "parts": len(made.segments),
        "locks": locks.most_common(),
        "hazards": list(made.hazards),
        "held": [[one.object, one.property, one.reason, one.object in can_be_allowed] for one in made.held_back],
        "lint": [[f.severity.value, f.line, f.message, f.lock, f.fix, f.rule] for f in findings],
        "revertable": bool(made.revert_statements),
    }


def start_proof(*, proposal: ProposedRepair, actor: audit.Actor) -> ProposedRepair:
    """Tries the repair in the background, unless it was tried or is being tried. Raises NotAllowed."""
    if actor is not None and not actor.has_perm(ADD):
        raise NotAllowed(f"{actor.get_username()} may not have repairs proven: that needs the permission to add migrations.")
    with transaction.atomic():
        row = ProposedRepair.objects.select_for_update(of=("self",)).select_related("job").get(pk=proposal.pk)
        if row.proof is None and row.content["statements"] and (row.job is None or row.job.ended):
            row.job, _ = jobs.enqueue(kind=KIND, subject=str(row)[:200], params={"repair": row.pk}, actor=actor)
            row.save(update_fields=["job"])
    return row


def prove(*, proposal: ProposedRepair, actor: audit.Actor, log: Callable[[str], None]) -> dict[str, Any]:
    """Rebuilds the base on the scratch server, runs exactly the SQL that was shown, and keeps what came of it.

    Raises Stale when a schema is another one by now; ServiceError when it can't be tried.
    """
    log(f"Reading {proposal.base} and {proposal.target}.")
    base, target = look(proposal.base, proposal.base_at), look(proposal.target, proposal.target_at)
    if (fingerprint(base), fingerprint(target)) != (proposal.base_fingerprint, proposal.target_fingerprint):
        raise Stale("A schema changed after the repair was made for it. Nothing was tried; look at the drift again.")
    read = repairs.Read(base, target, frozenset((a, b, c) for a, b, c in proposal.keys), tuple(proposal.renames))
    made, selection = repairs.repair_of_chosen(read, allow_lossy=frozenset(proposal.allowed))
    if repairs.as_migration(made, proposal.base) != (proposal.sql, proposal.revert_sql):
        raise Stale("This version of the program makes another repair of it. Nothing was tried; look at the drift again.")
    log(f"Trying {len(made.statements)} statements on the scratch server.")
    try:
        proof = prove_repair(made, base, target, scratch=settings.EVENKEEL_SCRATCH_DATABASE_URL, selection=selection)
    except ScratchError as error:
        raise ServiceError(str(error)) from error
    found = as_json(proof, proposal)
    with transaction.atomic():
        audit.lock_chain()
        ProposedRepair.objects.filter(pk=proposal.pk).update(proof=found)
        Migration.objects.filter(repair=proposal).update(proof=found)
        action = "repair.proven" if proof.proven else "repair.not-proven"
        audit.record(action=action, subject=proposal, actor=actor, summary=str(proof)[:2000], data={"sha256": found["sha256"]})
    log(str(proof))
    return found


def as_json(proof: Proof, proposal: ProposedRepair) -> dict[str, Any]:
    return {
        "proven": proof.proven,
        "at": proof.proven_at.isoformat(),
        "server_version": proof.server_version,
        "limits": list(proof.limits),
        "error": "" if proof.proven else str(proof),
        "revert": {"proven": proof.revert.proven, "error": "" if proof.revert.proven else str(proof.revert)}
        if proof.revert
        else None,
        "sha256": checksum(proposal.sql),
        "revert_sha256": checksum(proposal.revert_sql),
    }


def register(*, proposal: ProposedRepair, name: str, version: str, actor: audit.Actor) -> Migration:
    """Registers exactly what was shown. The caller has seen that both databases are still what they were.

    Raises what ``register_migration`` raises; ServiceError for databases of different applications or schemas of the past;
    Conflict when there is no SQL.
    """
    repairs.of_one_application(proposal.base, proposal.target)
    if not proposal.live:
        raise ServiceError("Only databases as they are now can be repaired: choose “now” on both sides. Nothing was registered.")
    if not proposal.content["statements"]:
        raise Conflict("Everything that was chosen is held back, so there is no SQL. Nothing was registered.")
    with transaction.atomic():
        audit.lock_chain()
        migration = repairs.register_sql(
            base=proposal.base, target=proposal.target, sql=proposal.sql, revert_sql=proposal.revert_sql,
            actor=actor, version=version, name=name,
        )  # fmt: skip
        # The proof may have ended a moment ago; from here on its job writes to the migration as well.
        row = ProposedRepair.objects.select_for_update(of=("self",)).get(pk=proposal.pk)
        migration.repair, migration.proof = row, row.proof
        migration.save(update_fields=["repair", "proof"])
    return migration


def forget_old() -> int:
    """Removes proposals that nobody made a migration of."""
    old = ProposedRepair.objects.filter(created_at__lt=timezone.now() - KEPT_FOR, migrations__isnull=True)
    return old.delete()[0]
