"""Which response answers which request of an HTTP/1.x conversation. See `protocols.http1` for the rules."""

from __future__ import annotations

from weir.dissect.api import Limits, Output
from weir.dissect.http1_state import Conversation, Half, Pair, Phase, exchange
from weir.dissect.httpfields import Upgraded
from weir.dissect.missing import reset_by
from weir.model.flow import Side


def arriving(state: Conversation, side: Side) -> Half:
    """The message that is arriving from a side, which must be in the middle of one."""
    half = state.pairs[0].response if side else state.pairs[-1].request
    assert half is not None
    return half


def answerable(state: Conversation) -> bool:
    """May the server's next message be read? In a conversation that was seen whole, its request comes first."""
    pairs = state.pairs
    return bool(
        (pairs and pairs[0].response is None) or state.lossy or state.evicted or state.client.ended
    )


def distrust(state: Conversation) -> None:
    """Something was not seen: from now on capture times decide as well."""
    state.lossy = True
    state.evicted = 0


def ask(state: Conversation, request: Half, began: int, limits: Limits, out: list[Output]) -> None:
    """A request begins."""
    pairs = state.pairs
    if pairs:
        last = pairs[-1].request
        if last is not None and last.message.end == began:
            request.along = True
        elif not state.lossy:
            state.pipelined = True
        pairs.append(Pair(request))
        _evict(state, limits, out)
    else:
        pairs.append(Pair(request))


def asked(state: Conversation, request: Half, out: list[Output]) -> None:
    """The request that was arriving has ended."""
    pair = state.pairs[-1]
    if pair.response is not None and pair.response.done:
        state.pairs.pop()
        give(state, pair, out)
    else:
        state.held += request.cost


def answer(state: Conversation, response: Half, began: int, out: list[Output]) -> Half | None:
    """A response begins: find the request that it answers, and make them a pair."""
    pairs = state.pairs
    if state.interim:
        response.fields["interim_responses"], state.interim = state.interim, []
    if state.lossy:
        _align(state, began, out)
    if state.evicted:
        state.evicted -= 1
    elif pairs and pairs[0].response is None:
        request = pairs[0].request
        # Where nothing was lost order alone decides: clocks of two nodes may disagree on what came first.
        if request is not None and (not state.lossy or request.message.timestamp <= began):
            pairs[0].response = response
            return request
    if state.client.phase is Phase.LOST and state.client.passed > 0:
        response.weird.append("what it may answer is not HTTP")
    pairs.insert(0, Pair(None, response))
    return None


def keep_interim(state: Conversation) -> None:
    """No final response comes, or none that is known to belong to the interim ones."""
    pair = state.pairs[0] if state.pairs else None
    if state.interim and pair is not None and pair.request is not None and pair.response is None:
        pair.request.fields["interim_responses"] = state.interim
    state.interim = []


def unanswered(state: Conversation) -> None:
    """The server closed in order: nothing of what was asked is answered any more. After a loss nobody knows."""
    if not state.lossy:
        for pair in state.pairs:
            if pair.request is not None and pair.response is None:
                pair.request.cut = "closed without an answer"


def cut(state: Conversation, half: Half, *, asked: bool = True, answering: bool = False) -> None:
    """A message, or the answer to one, will not come any more: say so if a RST is why. After a loss nobody knows."""
    if state.reset is not None and not state.lossy and not half.cut:
        half.cut = f"reset by {state.reset.name.lower()}"
        half.incomplete.append(reset_by(state.reset, asked=asked, answering=answering))


def answered(state: Conversation, out: list[Output]) -> None:
    """The response that was arriving has ended."""
    pair = state.pairs[0]
    if pair.request is None or pair.request.done:
        del state.pairs[0]
        give(state, pair, out)


def give(state: Conversation, pair: Pair, out: list[Output]) -> None:
    request, response = pair.request, pair.response
    out.append(exchange(pair))
    if request is not None:
        state.held -= request.cost
    if response is not None and (response.upgrade or response.tunnel):
        half = request or response
        state.leaving = Upgraded(
            protocol=response.upgrade, offset=half.offset, request=half.message, fields=half.fields
        )
        state.client.phase = state.server.phase = Phase.WAIT
    elif request is not None and (request.upgrade or request.tunnel) and state.client.phase is Phase.WAIT:
        state.client.phase = Phase.HEAD


def finish(state: Conversation, out: list[Output]) -> None:
    """The conversation is over: give what still waits, and keep nothing."""
    keep_interim(state)
    pairs, state.pairs = state.pairs, []
    for pair in pairs:
        if pair.request is not None and pair.response is None:
            cut(state, pair.request)
        out.append(exchange(pair))
    state.over = True
    state.leaving = None
    for stream in (state.client, state.server):
        stream.release()
        stream.buffer.reset(stream.next)


def _align(state: Conversation, began: int, out: list[Output]) -> None:
    """After a loss: a client that does not pipeline sends more only when it was answered, so that requests which were
    followed by others before this response began got theirs unseen."""
    pairs = state.pairs
    while len(pairs) > 1 and not state.pipelined and pairs[0].response is None:
        later = 1
        while later < len(pairs) and _along(pairs[later]):
            later += 1
        if later == len(pairs) or _began(pairs[later]) > began:
            return
        for pair in pairs[:later]:
            give(state, pair, out)
        del pairs[:later]


def _along(pair: Pair) -> bool:
    return pair.request is not None and pair.request.along


def _began(pair: Pair) -> int:
    return pair.request.message.timestamp if pair.request is not None else 0


def _evict(state: Conversation, limits: Limits, out: list[Output]) -> None:
    """Too many wait, or what they keep is too large: the oldest go. The one that arrives and the one that is being
    answered stay."""
    pairs = state.pairs
    while len(pairs) > limits.pending or state.held > limits.buffered:
        index = 0 if pairs[0].response is None else 1
        if index >= len(pairs) - 1:
            return
        if not state.lossy:
            state.evicted += 1
        give(state, pairs.pop(index), out)
