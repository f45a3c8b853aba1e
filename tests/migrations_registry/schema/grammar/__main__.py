"""Pairs of random schemas, repaired there and back:

    python -m tests.migrations_registry.schema.grammar --seeds 1-200 --change 0.03

``--change 1`` makes the second schema without regard to the first. What fails is printed by how it fails, with the smallest
number of decisions and statements that still does.
"""

# ruff: noqa: T201 (it prints what it finds)

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from controlplane.embedded import EmbeddedPostgres, postgres_bin_dirs
from tests.migrations_registry.schema.grammar import Choices, statements
from tests.migrations_registry.schema.grammar.trial import Failure, fewest, roles_of_the_grammar, try_pair

#: Far from the seeds of first schemas.
_OTHER = 1_000_000


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="grammar", description="Repairs between pairs of random schemas, there and back.")
    parser.add_argument("--seeds", default="1-50", help="first and last, or one alone")
    parser.add_argument("--change", type=float, default=0.03, help="share of decisions made anew, 0 to 1")
    parser.add_argument("--held", action="store_true", help="hold back what loses data")
    parser.add_argument("--server", type=int, default=18, choices=sorted(postgres_bin_dirs()))
    parser.add_argument("--shrink", type=int, default=45, help="seconds for making one failure of each group small")
    options = parser.parse_args(arguments)
    first, _, last = options.seeds.partition("-")
    with tempfile.TemporaryDirectory() as place:
        server = EmbeddedPostgres(Path(place) / "data", postgres_bin_dirs()[options.server], durable=False)
        server.start()
        try:
            with roles_of_the_grammar(server):
                return _all(server, range(int(first), int(last or first) + 1), options)
        finally:
            server.stop()
            server.wipe()


def _all(server: EmbeddedPostgres, seeds: range, options: argparse.Namespace) -> int:
    groups: dict[str, list[tuple[int, Failure]]] = defaultdict(list)
    began = time.monotonic()
    for seed in seeds:
        one, two = Choices(seed), Choices(seed, _OTHER + seed, options.change)
        failure = try_pair(server, statements(one), statements(two), held=options.held)
        if failure is None:
            continue
        group = groups[failure.group]
        group.append((seed, failure))
        print(f"{seed}: {failure.group}\n    {failure.what}\n    at: {failure.statement[:600]}", flush=True)
        if len(group) == 1 and options.shrink:
            _shrink(server, seed, options, failure)
    failed = sum(map(len, groups.values()))
    for name, found in sorted(groups.items(), key=lambda entry: -len(entry[1])):
        print(f"{len(found):4} {name}  seeds {', '.join(str(seed) for seed, _ in found[:12])}")
    share = 100 * (1 - failed / len(seeds))
    print(f"{len(seeds)} pairs on {options.server}, change {options.change:g}: {len(seeds) - failed} passed ({share:.1f} %), "
          f"{time.monotonic() - began:.0f} s")  # fmt: skip
    return 1 if failed else 0


def _shrink(server: EmbeddedPostgres, seed: int, options: argparse.Namespace, failure: Failure) -> None:
    other = Choices(seed, _OTHER + seed, options.change)
    two = statements(other)
    one = statements(Choices(seed))
    changed = sorted(other.changed)

    until = time.monotonic() + options.shrink

    def fails(first: list[str], second: list[str]) -> bool:
        found = try_pair(server, first, second, held=options.held)
        return found is not None and found.group == failure.group

    def with_decisions(wanted: object) -> list[str]:
        kept = frozenset(changed) - frozenset(wanted)  # type: ignore[call-overload]
        return statements(Choices(seed, _OTHER + seed, options.change, kept))

    decisions = fewest(changed, lambda some: fails(one, with_decisions(some)), until=until)
    two = with_decisions(decisions)
    both = [statement for statement in one if statement in two]

    def only(side: list[str], some: object) -> list[str]:
        return [statement for statement in side if statement not in both or statement in some]  # type: ignore[operator]

    some = fewest(both, lambda some: fails(only(one, some), only(two, some)), until=until)
    one, two = only(one, some), only(two, some)
    mine = fewest(one, lambda rest: fails(list(rest), two), until=until)
    others = fewest(two, lambda rest: fails(mine, list(rest)), until=until)
    print(f"    decisions: {decisions}\n    one:")
    for statement in mine:
        print(f"        {statement};")
    print("    two:")
    for statement in others:
        print(f"        {statement};")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
