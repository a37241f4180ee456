"""Handlers about what is targeted: rules, previews, targets and why. What they answer is decided in `wishes`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from weir.errors import SettingsError
from weir.hub.answers import RulesAnswer
from weir.hub.health import Health
from weir.hub.replies import answer, body_of, last, only, refusal, values_of
from weir.hub.wishes import ReadOnly, Wishes


class Rulings:
    def __init__(self, wishes: Wishes, state: Callable[[], Health]) -> None:
        self._wishes = wishes
        self._state = state

    async def rules(self, request: web.Request) -> web.Response:
        return answer(RulesAnswer(rules=self._wishes.states()))

    async def put_rule(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        return await told(self._wishes.put(body, request.headers.get("User-Agent", "")))

    async def preview_rule(self, request: web.Request) -> web.Response:
        return await told(self._wishes.preview(await body_of(request)))

    async def renew_rule(self, request: web.Request) -> web.Response:
        return await told(self._wishes.renew(request.match_info["name"], await body_of(request)))

    async def remove_rule(self, request: web.Request) -> web.Response:
        return await told(self._wishes.remove(request.match_info["name"]))

    async def targets(self, request: web.Request) -> web.Response:
        target = self._state().target
        return answer(await self._wishes.targets(target.says or f"targeted now: {target.now}"))

    async def why(self, request: web.Request) -> web.Response:
        values = values_of(request)
        only(values, "pod")
        return answer(await self._wishes.why(last(values.get("pod", []))))


async def told(doing: Awaitable[Any]) -> web.Response:
    """What came of a wish; what is wrong with it is the asker's to change."""
    try:
        found = await doing
    except ReadOnly as error:
        return refusal(409, error.message, error.hint)
    except SettingsError as error:
        return refusal(400, error.message, error.hint)
    if found is None:
        return refusal(404, "there is no rule of this name", "`weir targets list` tells which there are")
    return answer(found)
