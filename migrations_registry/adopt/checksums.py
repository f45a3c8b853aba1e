"""Other tools' checksums, computed again over our text. None where the algorithm is not known or its input is not at hand."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable, Sequence
from pathlib import PurePath

from migrations_registry.adopt.rows import Row
from migrations_registry.runner.parse import fingerprint
from migrations_registry.runner.script import Script


def file_name(script: Script) -> str:
    return PurePath(script.origin).name if script.origin else f"{script.version}_{script.name}.sql"


def whole(script: Script) -> str:
    """The file that a tool's checksum is over."""
    return script.file_text or script.sql


def _flyway(row: Row, script: Script) -> bool:
    """CRC32 over the lines without their ends, signed."""
    value = 0
    for line in whole(script).splitlines():
        value = zlib.crc32(line.encode(), value)
    return str(value - (1 << 32) if value >= 1 << 31 else value) == row.checksum


def _line_ends(text: str) -> tuple[str, str]:
    plain = text.replace("\r\n", "\n")
    return plain, plain.replace("\n", "\r\n")


def _prisma(row: Row, script: Script) -> bool:
    """sha256 in hex; an old version did not pad its bytes."""
    digests = [hashlib.sha256(text.encode()).digest() for text in _line_ends(whole(script))]
    return row.checksum in {form for digest in digests for form in (digest.hex(), "".join(f"{byte:x}" for byte in digest))}


def _hex(algorithm: str) -> Callable[[Row, Script], bool]:
    def same(row: Row, script: Script) -> bool:
        given = row.checksum.removeprefix("\\x")
        return given in {
            hashlib.new(algorithm, text.encode()).hexdigest() for text in (whole(script), *_line_ends(whole(script)))
        }

    return same


def _postgres_migrations(row: Row, script: Script) -> bool:
    return hashlib.sha1((file_name(script) + whole(script)).encode(), usedforsecurity=False).hexdigest() == row.checksum


def _graphile(row: Row, script: Script) -> bool:
    body = f"{row.extra.get('previous_hash') or ''}\n{whole(script).strip()}"
    return "sha1:" + hashlib.sha1(body.encode(), usedforsecurity=False).hexdigest() == row.checksum


def _supabase(row: Row, script: Script) -> bool:
    """No checksum, but the SQL itself: equal when it means the same."""
    statements: list[str] = row.extra.get("statements") or []
    return bool(statements) and fingerprint(";\n".join(statements)) == script.fingerprint != ""


_SAME: dict[str, Callable[[Row, Script], bool]] = {
    "Flyway": _flyway,
    "Prisma": _prisma,
    "Drizzle": _hex("sha256"),
    "sql-migrate": _hex("sha256"),
    "sqlx": _hex("sha384"),
    "Sqitch": _hex("sha1"),
    "postgres-migrations": _postgres_migrations,
    "graphile-migrate": _graphile,
    "Supabase": _supabase,
}


def same(row: Row, script: Script, ordered: Sequence[Script]) -> bool | None:
    """Whether the row's checksum is that of the script. ``ordered`` are all scripts, for checksums that run over them."""
    if row.tool == "Atlas" and row.checksum:
        return _atlas(row, script, ordered)
    if row.tool not in _SAME or not (row.checksum or row.extra.get("statements")):
        return None
    return _SAME[row.tool](row, script)


def _atlas(row: Row, script: Script, ordered: Sequence[Script]) -> bool:
    """One running sha256 over names and bytes of all files so far, in base64."""
    running = hashlib.sha256()
    for one in ordered:
        running.update(file_name(one).encode())
        running.update(whole(one).encode())
        if one is script:
            break
    return base64.b64encode(running.digest()).decode() == row.checksum.removeprefix("h1:")
