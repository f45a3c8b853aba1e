"""What extends PostgreSQL itself, and the database as such."""

# ruff: noqa: E501, S608 (the text is this file's own; values are parameters)

from __future__ import annotations

from environments.catalog.queries.parts import FIRST_USER_OID, IN_SCOPE, own, qualified


def _function(oid: str) -> str:
    return f"CASE WHEN {oid} <> 0 THEN {oid}::regproc::text ELSE '' END"


def queries(version: int) -> dict[str, str]:
    parameters = "SELECT oid, parname AS name FROM pg_parameter_acl ORDER BY 2"
    return {
        "languages": f"""SELECT l.oid, l.lanname AS name, l.lanpltrusted AS trusted, pg_get_userbyid(l.lanowner) AS owner,
                {_function("l.lanplcallfoid")} AS handler, {_function("l.laninline")} AS inline, {_function("l.lanvalidator")} AS validator
            FROM pg_language l WHERE l.lanname IN ('sql', 'plpgsql') OR (l.oid >= {FIRST_USER_OID} AND {own("pg_language", "l.oid")})
            ORDER BY 2""",
        "access_methods": f"""SELECT a.oid, a.amname AS name, CASE a.amtype WHEN 't' THEN 'TABLE' ELSE 'INDEX' END AS type,
                a.amhandler::regproc::text AS handler
            FROM pg_am a WHERE a.oid >= {FIRST_USER_OID} AND {own("pg_am", "a.oid")} ORDER BY 2""",
        "conversions": f"""SELECT c.oid, n.nspname AS schema, c.conname AS name, pg_encoding_to_char(c.conforencoding) AS source,
                pg_encoding_to_char(c.contoencoding) AS target, c.conproc::regproc::text AS function, c.condefault AS is_default,
                pg_get_userbyid(c.conowner) AS owner
            FROM pg_conversion c JOIN pg_namespace n ON n.oid = c.connamespace
            WHERE c.connamespace {IN_SCOPE} AND {own("pg_conversion", "c.oid")} ORDER BY 2, 3""",
        "transforms": f"""SELECT t.oid, format_type(t.trftype, NULL) AS type, l.lanname AS language,
                CASE WHEN t.trffromsql <> 0 THEN t.trffromsql::regprocedure::text ELSE '' END AS from_sql,
                CASE WHEN t.trftosql <> 0 THEN t.trftosql::regprocedure::text ELSE '' END AS to_sql
            FROM pg_transform t JOIN pg_language l ON l.oid = t.trflang
            WHERE t.oid >= {FIRST_USER_OID} AND {own("pg_transform", "t.oid")} ORDER BY 2, 3""",
        # (line of ADD, line of DROP) of every member that no operator class of the family has.
        "operator_families": f"""SELECT f.oid, n.nspname AS schema, f.opfname AS name, am.amname AS method,
                pg_get_userbyid(f.opfowner) AS owner,
                ARRAY(SELECT ARRAY['OPERATOR ' || o.amopstrategy || ' ' || o.amopopr::regoperator::text ||
                        CASE WHEN o.amopsortfamily <> 0 THEN ' FOR ORDER BY ' || {qualified("sf.opfname", "sn.nspname")} ELSE '' END,
                        'OPERATOR ' || o.amopstrategy || ' ' || {_types("o.amoplefttype", "o.amoprighttype")}]
                      FROM pg_amop o LEFT JOIN pg_opfamily sf ON sf.oid = o.amopsortfamily
                      LEFT JOIN pg_namespace sn ON sn.oid = sf.opfnamespace
                      WHERE o.amopfamily = f.oid AND NOT {_of_class("o.amoplefttype", "o.amoprighttype")} ORDER BY 1) ||
                ARRAY(SELECT ARRAY['FUNCTION ' || p.amprocnum || ' ' || {_types("p.amproclefttype", "p.amprocrighttype")} || ' '
                        || p.amproc::regprocedure::text, 'FUNCTION ' || p.amprocnum || ' '
                        || {_types("p.amproclefttype", "p.amprocrighttype")}]
                      FROM pg_amproc p
                      WHERE p.amprocfamily = f.oid AND NOT {_of_class("p.amproclefttype", "p.amprocrighttype")} ORDER BY 1) AS items,
                EXISTS (SELECT FROM pg_opclass c WHERE c.opcfamily = f.oid AND c.opcname = f.opfname
                        AND c.opcnamespace = f.opfnamespace) AS of_a_class
            FROM pg_opfamily f JOIN pg_namespace n ON n.oid = f.opfnamespace JOIN pg_am am ON am.oid = f.opfmethod
            WHERE f.opfnamespace {IN_SCOPE} AND {own("pg_opfamily", "f.oid")} ORDER BY 2, 3, 4""",
        "ts_parsers": f"""SELECT p.oid, n.nspname AS schema, p.prsname AS name, p.prsstart::text AS start, p.prstoken::text AS gettoken,
                p.prsend::text AS end, p.prslextype::text AS lextypes, {_function("p.prsheadline")} AS headline
            FROM pg_ts_parser p JOIN pg_namespace n ON n.oid = p.prsnamespace
            WHERE p.prsnamespace {IN_SCOPE} AND {own("pg_ts_parser", "p.oid")} ORDER BY 2, 3""",
        "ts_templates": f"""SELECT t.oid, n.nspname AS schema, t.tmplname AS name, t.tmpllexize::text AS lexize, {_function("t.tmplinit")} AS init
            FROM pg_ts_template t JOIN pg_namespace n ON n.oid = t.tmplnamespace
            WHERE t.tmplnamespace {IN_SCOPE} AND {own("pg_ts_template", "t.oid")} ORDER BY 2, 3""",
        "base_types": f"""SELECT t.oid, n.nspname AS schema, t.typname AS name, t.typarray AS array_type, t.typisdefined AS defined,
                pg_get_userbyid(t.typowner) AS owner, {_function("t.typinput")} AS input, {_function("t.typoutput")} AS output,
                {_function("t.typreceive")} AS receive, {_function("t.typsend")} AS send, {_function("t.typmodin")} AS typmod_in,
                {_function("t.typmodout")} AS typmod_out, {_function("t.typanalyze")} AS analyze, t.typlen::text AS internallength,
                t.typbyval AS passedbyvalue, t.typalign::text AS alignment, t.typstorage::text AS storage, t.typcategory::text AS category,
                t.typispreferred AS preferred, t.typdelim::text AS delimiter, COALESCE(t.typdefault, '') AS default_value,
                CASE WHEN t.typelem <> 0 THEN format_type(t.typelem, NULL) ELSE '' END AS element, t.typcollation <> 0 AS collatable
            FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
            WHERE t.typnamespace {IN_SCOPE} AND (t.typtype = 'b' OR NOT t.typisdefined) AND {own("pg_type", "t.oid")}
              AND NOT EXISTS (SELECT FROM pg_type a WHERE a.typarray = t.oid) ORDER BY 2, 3""",
        "parameters": parameters if version >= 150000 else "SELECT NULL::oid AS oid, NULL::text AS name WHERE false",
        "database": "SELECT oid, datname AS name FROM pg_database WHERE datname = current_database()",
    }  # fmt: skip


def _types(left: str, right: str) -> str:
    return f"'(' || format_type({left}, NULL) || ', ' || format_type({right}, NULL) || ')'"


def _of_class(left: str, right: str) -> str:
    return f"EXISTS (SELECT FROM pg_opclass c WHERE c.opcfamily = f.oid AND c.opcintype = {left} AND c.opcintype = {right})"
