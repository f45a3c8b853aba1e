"""Functions, procedures, aggregates, casts, operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from environments.catalog.names import dotted
from environments.catalog.values import Cast, Function, Operator, OperatorClass, Ref

if TYPE_CHECKING:
    from environments.catalog.reader import Reading

FUNCTION_KINDS = {"f": "function", "p": "procedure", "a": "aggregate", "w": "window function"}
VOLATILITY = {"i": "immutable", "s": "stable", "v": "volatile"}
PARALLEL = {"s": "safe", "r": "restricted", "u": "unsafe"}
CONTEXTS = {"e": "explicit", "a": "assignment", "i": "implicit"}
MODIFY = {"r": "READ_ONLY", "s": "SHAREABLE", "w": "READ_WRITE"}


def build(reading: Reading) -> dict[str, Any]:
    return {
        "functions": _functions(reading),
        "casts": _casts(reading),
        "operators": _operators(reading),
        "operator_classes": _operator_classes(reading),
    }


def function_name(schema: str, name: str, signature: str) -> str:
    return f"{dotted(schema, name)}({signature})"


def _functions(reading: Reading) -> dict[str, Function]:
    found = {}
    for row in reading.rows["functions"]:
        name = function_name(row.schema, row.name, row.signature)
        reading.name("pg_proc", row.oid, Ref("function", name))
        found[name] = Function(
            schema=row.schema,
            name=row.name,
            signature=row.signature,
            kind=FUNCTION_KINDS[row.kind],
            arguments=row.arguments or "",
            result=row.result or "",
            language=row.language,
            body="" if row.kind == "a" else f"{row.probin}, {row.body}" if row.probin else row.body,
            volatility=VOLATILITY[row.provolatile],
            parallel=PARALLEL[row.proparallel],
            strict=row.proisstrict,
            security_definer=row.prosecdef,
            leakproof=row.proleakproof,
            cost=row.procost,
            rows=row.prorows,
            support=row.support or "",
            settings=tuple(row.proconfig or ()),
            aggregate=_aggregate(row) if row.kind == "a" else (),
            definition=row.definition or "",
            identity_arguments=row.identity_arguments or "",
            owner=row.owner,
            **reading.access.of("pg_proc", row.oid),
        )
    return found


def _aggregate(row: Any) -> tuple[tuple[str, str], ...]:
    """The options of CREATE AGGREGATE that are not at their defaults."""
    options = [
        ("SFUNC", row.aggtransfn), ("STYPE", row.aggtranstype), ("SSPACE", row.aggtransspace or ""),
        ("FINALFUNC", row.aggfinalfn), ("FINALFUNC_EXTRA", "true" if row.aggfinalextra else ""),
        ("FINALFUNC_MODIFY", _modify(row.aggfinalmodify, row.aggkind)), ("COMBINEFUNC", row.aggcombinefn),
        ("SERIALFUNC", row.aggserialfn), ("DESERIALFUNC", row.aggdeserialfn), ("INITCOND", row.agginitval),
        ("MSFUNC", row.aggmtransfn), ("MINVFUNC", row.aggminvtransfn), ("MSTYPE", row.aggmtranstype),
        ("MSSPACE", row.aggmtransspace or ""), ("MFINALFUNC", row.aggmfinalfn),
        ("MFINALFUNC_EXTRA", "true" if row.aggmfinalextra else ""),
        ("MFINALFUNC_MODIFY", _modify(row.aggmfinalmodify, row.aggkind) if row.aggmfinalfn != "-" else ""),
        ("MINITCOND", row.aggminitval), ("SORTOP", row.aggsortop), ("HYPOTHETICAL", "true" if row.aggkind == "h" else ""),
    ]  # fmt: skip
    # An initial condition may be the empty string; everything else is absent when it is empty or "-".
    return tuple(
        (name, str(value))
        for name, value in options
        if value is not None and (name.endswith("INITCOND") or str(value) not in ("", "-"))
    )


def _modify(letter: str, kind: str) -> str:
    built_in = "r" if kind == "n" else "w"
    return "" if letter == built_in else MODIFY[letter]


def _casts(reading: Reading) -> dict[str, Cast]:
    found = {}
    for row in reading.rows["casts"]:
        name = f"({row.source} AS {row.target})"
        reading.name("pg_cast", row.oid, Ref("cast", name))
        method = {"f": f"function {row.function}", "i": "inout", "b": "binary"}[row.method]
        comment = reading.access.comment("pg_cast", row.oid)
        found[name] = Cast(row.source, row.target, method, CONTEXTS[row.context], comment)
    return found


def _operators(reading: Reading) -> dict[str, Operator]:
    found = {}
    for row in reading.rows["operators"]:
        name = f"{dotted(row.schema)}.{row.name}({row.left_type or 'NONE'}, {row.right_type})"
        reading.name("pg_operator", row.oid, Ref("operator", name))
        if row.function is None:  # a shell that a commutator or negator clause left behind
            continue
        found[name] = Operator(
            schema=row.schema, name=row.name, left=row.left_type or "", right=row.right_type, function=row.function,
            commutator=row.commutator or "", negator=row.negator or "", restrict=row.restrict or "", join=row.join or "",
            hashes=row.hashes, merges=row.merges, owner=row.owner, comment=reading.access.comment("pg_operator", row.oid),
        )  # fmt: skip
    return found


def _operator_classes(reading: Reading) -> dict[str, OperatorClass]:
    found = {}
    for row in reading.rows["operator_classes"]:
        name = f"{dotted(row.schema, row.name)} USING {row.method}"
        reading.name("pg_opclass", row.oid, Ref("operator class", name))
        reading.name("pg_opfamily", row.opcfamily, Ref("operator class", name))
        own_family = (row.family, row.family_schema) == (row.name, row.schema)
        found[name] = OperatorClass(
            schema=row.schema, name=row.name, method=row.method, type=row.type, default=row.is_default,
            family="" if own_family else dotted(row.family_schema, row.family), storage=row.storage or "",
            items=tuple(row.items), owner=row.owner, comment=reading.access.comment("pg_opclass", row.oid),
        )  # fmt: skip
    return found
