"""What a filter says about some of its fields only: a condition that holds wherever the whole filter holds.

A reader that has those fields at hand asks it first, and the whole filter only of what is left.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from weir.query.filter.tree import BOOL, Node
from weir.query.filter.variables import Variable

Known = Callable[[Variable], bool]

TRUE, FALSE = Node("const", BOOL, (), True), Node("const", BOOL, (), False)


def narrow(node: Node, known: Known) -> Node:
    """The strongest condition on known fields that follows from `node` by its logic; `node` itself if all are known."""
    return _bound(node, known, above=True)


def _bound(node: Node, known: Known, *, above: bool) -> Node:
    """A condition that holds wherever `node` does (above), or only where it does (below)."""
    if node.op == "and":
        return _joined(node, known, above, absorbs=FALSE)
    if node.op == "or":
        return _joined(node, known, above, absorbs=TRUE)
    if node.op == "not":
        inner = _bound(node.args[0], known, above=not above)
        if inner in (TRUE, FALSE):
            return FALSE if inner == TRUE else TRUE
        return msgspec.structs.replace(node, args=(inner,))
    return node if knows(node, known) else (TRUE if above else FALSE)


def _joined(node: Node, known: Known, above: bool, absorbs: Node) -> Node:
    neutral = TRUE if absorbs == FALSE else FALSE
    parts = [_bound(arg, known, above=above) for arg in node.args]
    if absorbs in parts:
        return absorbs
    kept = tuple(part for part in parts if part != neutral)
    if not kept:
        return neutral
    return kept[0] if len(kept) == 1 else msgspec.structs.replace(node, args=kept)


def knows(node: Node, known: Known) -> bool:
    """Whether it asks for nothing but known fields."""
    if node.op == "field":
        return known(node.value)
    return all(knows(arg, known) for arg in node.args)
