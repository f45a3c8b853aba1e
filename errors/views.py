"""POST /api/errors/: where applications report. Thin: reads the wire, asks the services, says what was kept."""

from __future__ import annotations

import json
import zlib
from typing import Any

from django.db import Error
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from errors import services

MAX_BODY = 1024 * 1024
#: Of a gzipped body, unpacked.
MAX_UNPACKED = 4 * 1024 * 1024


class RequestProblem(Exception):
    """A request that is answered with ``status`` and this message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


# No cookie counts here, only the key in the header: another site's form can't send that.
@csrf_exempt
def report(request: HttpRequest) -> JsonResponse:
    """200 when the report was read, with what became of each event; 400, 401, 405, 413, 429 or 503 with ``error`` otherwise."""
    if request.method != "POST":
        return _answer(405, error="Reports are sent with POST. Nothing was kept.", headers={"Allow": "POST"})
    try:
        environment = services.find_environment(_key(request))
        if environment is None:
            raise RequestProblem(401, "The report key is unknown or was revoked. Nothing was kept; make one with report_key.")
        done = services.ingest(environment=environment, payload=_payload(request))
    except RequestProblem as problem:
        headers = {"WWW-Authenticate": 'Bearer realm="error reports"'} if problem.status == 401 else {}
        return _answer(problem.status, error=str(problem), headers=headers)
    except services.BatchTooLarge as error:
        return _answer(413, error=str(error))
    except services.PayloadError as error:
        return _answer(400, error=str(error))
    except Error:
        return _answer(
            503, error="Evenkeel's database does not answer. Nothing was kept; send it again.", headers={"Retry-After": "10"}
        )
    return _result(done)


def _result(done: services.Ingested) -> JsonResponse:
    counts: dict[str, Any] = {
        "requests": done.requests,
        "kept": done.kept,
        "counted": done.counted,
        "duplicates": done.duplicates,
        "refused": [{"index": one.index, "event_id": one.event_id, "reason": one.reason} for one in done.refused],
    }
    if done.over_limit:
        message = (
            f"Too many errors in this minute: {done.over_limit} were counted, but not kept. Do not send them again; "
            f"go on in {done.retry_after} s."
        )
        return _answer(429, error=message, headers={"Retry-After": str(done.retry_after)}, over_limit=done.over_limit, **counts)
    if done.refused and not done.kept and not done.counted and not done.duplicates:
        return _answer(400, error="No event could be kept; the requests were counted.", **counts)
    return _answer(200, **counts)


def _answer(status: int, *, headers: dict[str, str] | None = None, **body: Any) -> JsonResponse:
    return JsonResponse({"kept": 0, **body} if status != 200 else body, status=status, headers=headers)


def _key(request: HttpRequest) -> str:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise RequestProblem(401, "Send the report key as `Authorization: Bearer <key>`. Nothing was kept.")
    return key.strip()


def _payload(request: HttpRequest) -> object:
    body = _body(request)
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding == "gzip":
        body = _unpack(body)
    elif encoding not in ("identity", ""):
        raise RequestProblem(400, "Content-Encoding may be gzip or left out. Nothing was kept.")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise RequestProblem(400, "The body is not JSON. Nothing was kept.") from None


def _body(request: HttpRequest) -> bytes:
    declared = request.META.get("CONTENT_LENGTH") or ""
    if declared.isdigit() and int(declared) > MAX_BODY:
        raise RequestProblem(413, f"A report may have {MAX_BODY} bytes. Nothing was kept; send it in parts.")
    # Django takes a request without Content-Length for an empty one; the server has put the chunks together in wsgi.input.
    chunked = not declared and "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower()
    source = request.META["wsgi.input"] if chunked else request
    parts, size = [], 0
    while size <= MAX_BODY and (part := source.read(64 * 1024)):
        parts.append(part)
        size += len(part)
    if size > MAX_BODY:
        raise RequestProblem(413, f"A report may have {MAX_BODY} bytes. Nothing was kept; send it in parts.")
    return b"".join(parts)


def _unpack(body: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        plain = unpacker.decompress(body, MAX_UNPACKED + 1)
    except zlib.error:
        raise RequestProblem(400, "The body is not gzip, although Content-Encoding says so. Nothing was kept.") from None
    if len(plain) > MAX_UNPACKED:
        raise RequestProblem(413, f"A report may unpack to {MAX_UNPACKED} bytes. Nothing was kept; send it in parts.")
    if not unpacker.eof:
        raise RequestProblem(400, "The gzip stream ends too early. Nothing was kept; send it again.")
    return plain
