"""What objects of the snapshot refer to in schemas that are not in it (``%(outside)s``): by OID, or by a name in a function's text.

One round of these queries reads what is known to be referred to; the types of its columns and arguments make the next round.
"""

# ruff: noqa: E501, S608 (the text is this file's own; values are parameters)

from __future__ import annotations

from environments.catalog.queries.parts import CLASSES

_OUTSIDE = "= ANY (%(outside)s::oid[])"


def _extension(catalogue: str, oid: str) -> str:
    """The extension that brought the object along, or NULL."""
    return f"""(SELECT e.extname FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid WHERE d.classid = {CLASSES[catalogue]}
                AND d.objid = {oid} AND d.refclassid = {CLASSES["pg_extension"]} AND d.deptype = 'e')"""


#: (schema, name) of what texts may mean -> OIDs, of relations and functions.
MENTIONED = f"""
SELECT {CLASSES["pg_class"]} AS classid, c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN unnest(%(schemas)s::text[], %(names)s::text[]) m (schema, name) ON m.schema = n.nspname AND m.name = c.relname
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S') AND {_extension("pg_class", "c.oid")} IS NULL
UNION ALL SELECT {CLASSES["pg_proc"]}, p.oid FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN unnest(%(schemas)s::text[], %(names)s::text[]) m (schema, name) ON m.schema = n.nspname AND m.name = p.proname
WHERE p.prokind IN ('f', 'p') AND {_extension("pg_proc", "p.oid")} IS NULL
UNION ALL SELECT {CLASSES["pg_type"]}, t.oid FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
JOIN unnest(%(schemas)s::text[], %(names)s::text[]) m (schema, name) ON m.schema = n.nspname AND m.name = t.typname
WHERE t.typtype IN ('e', 'd', 'c') AND {_extension("pg_type", "t.oid")} IS NULL"""

#: ``columns``: [name, type, OID of the element's or the type itself, number, outside or built in].
RELATIONS = f"""
SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind AS kind, {_extension("pg_class", "c.oid")} AS extension,
       (SELECT COALESCE(json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod), t.base::bigint, a.attnum,
               bt.typnamespace = 11 OR (bt.typnamespace {_OUTSIDE} AND {_extension("pg_type", "bt.oid")} IS NULL)) ORDER BY a.attnum), '[]')
        FROM pg_attribute a JOIN pg_type at ON at.oid = a.atttypid
        CROSS JOIN LATERAL (SELECT CASE WHEN at.typelem <> 0 AND at.typlen = -1 THEN at.typelem ELSE at.oid END AS base) t
        JOIN pg_type bt ON bt.oid = t.base
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind <> 'S') AS columns,
       (SELECT COALESCE(json_agg(json_build_array(i.indisprimary, i.indkey::int2[]) ORDER BY i.indisprimary DESC, i.indkey::text), '[]')
        FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND i.indimmediate AND i.indisvalid
          AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnkeyatts = i.indnatts) AS keys
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = ANY (%(pg_class)s::oid[]) AND c.relnamespace {_OUTSIDE} AND c.relkind IN ('r', 'p', 'f', 'v', 'm', 'c', 'S')
ORDER BY 2, 3"""

FUNCTIONS = f"""
SELECT p.oid, n.nspname AS schema, p.proname AS name, p.prokind AS kind, {_extension("pg_proc", "p.oid")} AS extension,
       p.pronargdefaults AS optional, pg_get_function_result(p.oid) AS result, p.provolatile AS volatility,
       p.oid::regprocedure::text AS identity,
       ARRAY(SELECT CASE m.mode WHEN 'o' THEN 'OUT ' WHEN 'b' THEN 'INOUT ' WHEN 'v' THEN 'VARIADIC ' ELSE 'IN ' END
                    || CASE WHEN COALESCE(m.name, '') = '' THEN '' ELSE quote_ident(m.name) || ' ' END || format_type(m.type, NULL)
             FROM unnest(COALESCE(p.proallargtypes, p.proargtypes::oid[]), p.proargmodes, p.proargnames)
                  WITH ORDINALITY m (type, mode, name, place)
             WHERE m.mode IS DISTINCT FROM 't' ORDER BY m.place) AS arguments,
       ARRAY(SELECT CASE WHEN t.typelem <> 0 AND t.typlen = -1 THEN t.typelem ELSE t.oid END::bigint
             FROM unnest(COALESCE(p.proallargtypes, p.proargtypes::oid[]) || p.prorettype) u (oid) JOIN pg_type t ON t.oid = u.oid) AS types
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE p.oid = ANY (%(pg_proc)s::oid[]) AND p.pronamespace {_OUTSIDE} ORDER BY 2, 3, 9"""

TYPES = f"""
SELECT t.oid, n.nspname AS schema, t.typname AS name, t.typtype AS kind, t.typrelid::bigint AS relation,
       {_extension("pg_type", "t.oid")} AS extension, t.typelem::bigint AS element, t.typlen AS length,
       ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder) AS labels,
       CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END AS base, t.typbasetype::bigint AS base_oid,
       format_type(t.oid, NULL) AS identity
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.oid = ANY (%(pg_type)s::oid[]) AND t.typnamespace {_OUTSIDE} ORDER BY 2, 3"""

#: Of other catalogues: operators, collations, text search configurations and what else lives in a schema.
OTHERS = f"""
SELECT i.type AS kind, i.schema, i.identity,
       (SELECT e.extname FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid WHERE d.classid = w.classid
        AND d.objid = w.oid AND d.refclassid = {CLASSES["pg_extension"]} AND d.deptype = 'e') AS extension
FROM unnest(%(classes)s::oid[], %(oids)s::oid[]) w (classid, oid)
CROSS JOIN LATERAL pg_identify_object(w.classid, w.oid, 0) i
JOIN pg_namespace n ON n.nspname = i.schema AND n.oid {_OUTSIDE}
WHERE i.type NOT IN ('index', 'table constraint', 'trigger', 'rule', 'policy', 'default value') ORDER BY 1, 2, 3"""

#: The extensions by name: their schema and version.
EXTENSIONS = """
SELECT e.extname AS name, n.nspname AS schema FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname = ANY (%(extensions)s::text[]) ORDER BY 1"""
