"""The repair of chosen differences as its page shows it: SQL, what it locks, what is held back, and the proof."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from migrations_registry.admin.drift.comparison import Comparison, key_of
from migrations_registry.admin.drift.listing import Row, pick_of
from migrations_registry.schema import Repair
from migrations_registry.schema.lossy import loses
from migrations_registry.schema.proof import Proof, ScratchError, prove_repair
from migrations_registry.services.repairs import Read, repair_of_chosen, text_digest

#: With more objects on a side the proof would take longer than a page may: the command line has no such limit.
PROVABLE_OBJECTS = 4_000


@dataclass(frozen=True, slots=True)
class Held:
    """A change that is left out. ``allow`` is what a form sends to include it; "" where nothing can."""

    object: str
    property: str
    reason: str
    allow: str


@dataclass(frozen=True, slots=True)
class Shown:
    repair: Repair
    held: tuple[Held, ...]
    #: What was held back until somebody allowed it, by name.
    allowed: tuple[str, ...]
    #: (lock, number of statements)
    locks: tuple[tuple[str, int], ...]
    proof: Proof | None
    #: Why there is no proof.
    unproven: str
    #: Stands for the SQL and its way back in the form that registers them.
    digest: str


def show(found: Comparison, rows: Iterable[Row], *, allowed: set[str], scratch: str | None) -> Shown:
    """``scratch`` is the server for proofs; None when this person's request is not worth one."""
    rows = list(rows)
    losing = {str(r.difference.ref()) for r in rows if loses(r.difference, found.left, found.right)}
    names = frozenset(name for name in losing if pick_of((name,)) in allowed)
    read = Read(found.base.snapshot, found.target.snapshot, frozenset(key_of(row.difference) for row in rows))
    made, selection = repair_of_chosen(read, allow_lossy=names)
    proof, unproven = None, ""
    if scratch is None:
        unproven = "It is tried on a scratch database for people who may register migrations."
    elif not made.statements:
        unproven = "There is nothing to prove."
    elif max(len(found.left), len(found.right)) > PROVABLE_OBJECTS:
        unproven = "The schema is too large to prove a repair while a page loads: manage.py schema repair --prove does it."
    else:
        try:
            proof = prove_repair(made, read.base, read.target, scratch=scratch, selection=selection)
        except ScratchError as error:
            unproven = str(error)
    held = tuple(
        Held(one.object, one.property, one.reason, pick_of((one.object,)) if one.object in losing - names else "")
        for one in made.held_back
    )
    locks = Counter(statement.lock for statement in made.statements if statement.lock)
    return Shown(made, held, tuple(sorted(names)), tuple(locks.most_common()), proof, unproven, text_digest(made))
