"""Operations -> transactions: what commits together, what stands alone, and in which order. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from migrations_registry.schema.statements import Statement

#: The statements of one transaction, or one statement that PostgreSQL refuses inside of one.
Segment = tuple[Statement, ...]


class Way(StrEnum):
    TOGETHER = "together"  # with everything else that can be done by then
    APART = "apart"  # in a transaction of its own: it works long under a weak lock
    ALONE = "alone"  # outside of a transaction
    FIRST = "first"  # committed before anything else is begun


@dataclass(slots=True)
class Node:
    """``needs`` must have run before it; ``committed`` must have been committed before it."""

    statements: tuple[Statement, ...]
    way: Way = Way.TOGETHER
    needs: set[int] = field(default_factory=set)
    committed: set[int] = field(default_factory=set)


def arrange(nodes: list[Node]) -> tuple[list[list[int]], bool]:
    """Nodes by their numbers, segment by segment; whether all could be placed (false: they wait for each other).

    What others wait for is built before the big transaction where it can be, so that this one holds everything that belongs
    together; what nobody waits for comes behind it. The order of the nodes breaks ties.
    """
    waited_for = {one for node in nodes for one in node.needs | node.committed}
    done: set[int] = set()
    segments: list[list[int]] = []

    def ready(number: int, also: set[int]) -> bool:
        node = nodes[number]
        return number not in done and number not in also and node.committed <= done and node.needs <= done | also

    def close(segment: list[int]) -> None:
        if segment:
            segments.append(segment)
            done.update(segment)

    close([n for n, node in enumerate(nodes) if node.way is Way.FIRST and ready(n, set())])
    while len(done) < len(nodes):
        before = len(done)
        for wanted in (True, False):
            long = [n for n, node in enumerate(nodes) if node.way in (Way.ALONE, Way.APART) and (n in waited_for) is wanted]
            for number in long:
                if ready(number, set()):
                    close([number])
            if wanted:
                close(_together(nodes, ready))
        if len(done) == before:
            return segments, False
    return segments, True


def _together(nodes: list[Node], ready: object) -> list[int]:
    """All that can run in one transaction now, in the order of the nodes as far as they allow it."""
    segment: list[int] = []
    taken: set[int] = set()
    again = True
    while again:
        again = False
        for number, node in enumerate(nodes):
            if node.way in (Way.TOGETHER, Way.FIRST) and ready(number, taken):  # type: ignore[operator]
                segment.append(number)
                taken.add(number)
                again = True
    return segment
