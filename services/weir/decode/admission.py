"""Whether decode itself knows a reason to read a conversation: the last of the layers that select.

`filter` decided under the documents and endpoints that it knew when it worked on the block, so a decision that was
right then is no leak: what changed since counts only for packets that were captured after the change was known here
and a grace was over. Of a block that was made under what is known here nothing is forgiven.
"""

from __future__ import annotations

from bisect import bisect_left
from enum import IntEnum

import msgspec

from weir.decode.identify import Names
from weir.directory.selector import Selector, compile_targets
from weir.model.control import OUTLINE, Control
from weir.model.flow import DirectedFlow

GRACE_NS = 5_000_000_000
"""How long a change may take to everybody, and how far the clocks of nodes and of the API server may differ."""
REMEMBERED = 64
"""Documents, and steps of the endpoints' revision, that are remembered with the time at which they came."""


class Answer(IntEnum):
    NO = 0
    FOR_NOW = 1
    """Something changed just now: ask again."""
    YES = 2


class _Document(msgspec.Struct):
    control: Control
    learned_ns: int
    targets: Selector
    excluded: Selector

class Admission:
    """Follows the control document and the endpoints of one process."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._documents = [_compiled(OUTLINE, 0)]
        """The newest is the last."""
        self._learned: list[tuple[int, int]] = []
        """Revisions of the endpoints, and when each was known here, ns since epoch; both rise."""
        self._changes = 0

    @property
    def version(self) -> int:
        """Rises when answers may have changed."""
        return self._changes + self._names.version

    def adopt(self, control: Control, revision: int, now_ns: int) -> None:
        """What is known at `now_ns`: the control document, and the endpoints up to `revision`."""
        if control != self._documents[-1].control:
            self._documents.append(_compiled(control, now_ns))
            del self._documents[:-REMEMBERED]
            self._changes += 1
        if not self._learned or revision > self._learned[-1][0]:
            self._learned.append((revision, now_ns))
            del self._learned[:-REMEMBERED]

    def admits(self, flow: DirectedFlow, ts_ns: int, generation: int, revision: int) -> Answer:
        """Whether payload of this conversation, captured at `ts_ns`, is wanted; it came in a block that was made under
        this generation of the control document and this revision of the endpoints."""
        document = self._documents[-1]
        if document.excluded.wanted(flow):
            return self._in_flight(flow, ts_ns, generation)
        if document.targets.wanted(flow) or self._targeted(flow, ts_ns):
            return Answer.YES
        if self._in_flight(flow, ts_ns, generation) or self._moved(flow, ts_ns, revision):
            return Answer.FOR_NOW
        return Answer.NO

    def _targeted(self, flow: DirectedFlow, ts_ns: int) -> bool:
        here = self._names.lookup(flow.src, flow.sport, ts_ns)
        if here is not None and here.targeted:
            return True
        there = self._names.lookup(flow.dst, flow.dport, ts_ns)
        return there is not None and there.targeted

    def _in_flight(self, flow: DirectedFlow, ts_ns: int, generation: int) -> Answer:
        """The document changed after the block was made, and the one before it wanted the conversation, as far as that
        is known."""
        newest = self._documents[-1]
        if generation >= newest.control.generation or ts_ns >= newest.learned_ns + GRACE_NS:
            return Answer.NO
        for document in self._documents:
            if document.control.generation == generation:
                wanted = document.targets.wanted(flow) or self._targeted(flow, ts_ns)
                return Answer.FOR_NOW if wanted and not document.excluded.wanted(flow) else Answer.NO
        return Answer.FOR_NOW

    def _moved(self, flow: DirectedFlow, ts_ns: int, revision: int) -> bool:
        """An end's record is newer than what the block was made under, or its address changes hands just then."""
        for address, port in ((flow.src, flow.sport), (flow.dst, flow.dport)):
            record = self._names.lookup(address, port, ts_ns)
            if record is not None and record.revision > revision and ts_ns < self._known_since(record.revision):
                return True
            for near_ns in (ts_ns - GRACE_NS, ts_ns + GRACE_NS):
                near = self._names.lookup(address, port, near_ns)
                if near is not None and near.targeted:
                    return True
        return False

    def _known_since(self, revision: int) -> int:
        """When a revision counts as known to everybody."""
        at = bisect_left(self._learned, (revision, 0))
        return self._learned[at][1] + GRACE_NS if at < len(self._learned) else 0


def _compiled(control: Control, now_ns: int) -> _Document:
    return _Document(
        control, now_ns, compile_targets(control.targets)[0], compile_targets(control.excluded)[0]
    )
