"""Publishes the static targets to `endpoints` and `control`, and stays to answer for them."""

from __future__ import annotations

import secrets

from weir.bus.api import Record
from weir.bus.topics import CONTROL, ENDPOINTS, RULES
from weir.model.control import Control, EndpointRecord, Rule
from weir.runtime.service import Context, Service
from weir.targets.settings import TargetsSettings
from weir.targets.static import changes, control_document, endpoint_key, endpoint_records

KNOWN_ENDPOINTS = "targets.endpoints"
"""Name in `Context.shared` of further endpoint records (the demo application's names)."""


class TargetsService(Service):
    name = "targets"
    title = "who is who, and whose payload is wanted"
    Settings = TargetsSettings
    produces = (ENDPOINTS, CONTROL, RULES)
    reads = (ENDPOINTS, CONTROL)

    settings: TargetsSettings

    def __init__(self, settings: TargetsSettings, context: Context) -> None:
        super().__init__(settings, context)
        # What is no target or name is told before anything starts.
        endpoint_records(settings)

    async def run(self) -> None:
        context = self.context
        bus = context.bus
        control_table = await bus.table(CONTROL)
        endpoint_table = await bus.table(ENDPOINTS)
        try:
            await self._publish_endpoints(dict(endpoint_table.items()))
            key = context.instance.encode()
            previous: Control | None = control_table.get(key)
            document = control_document(self.settings, previous, secrets.token_bytes(16))
            await self._publish_rules(document)
            await bus.flush()
            if document != previous:
                await bus.publish(CONTROL, [Record(key, document)])
            await bus.flush()
            context.modes["targets"] = ", ".join(document.targets) or "none: connections only, no payload"
            context.ready.set()
            await context.stop.wait()
        finally:
            await control_table.close()
            await endpoint_table.close()

    async def _publish_endpoints(self, have: dict[bytes, EndpointRecord]) -> None:
        known: list[EndpointRecord] = self.context.shared.get(KNOWN_ENDPOINTS, [])
        fresh, stale = changes(endpoint_records(self.settings, known), have)
        records = [Record(endpoint_key(record), record) for record in fresh] + [Record(key, None) for key in stale]
        if records:
            await self.context.bus.publish(ENDPOINTS, records)

    async def _publish_rules(self, document: Control) -> None:
        rules = [
            Rule(name=f"static/{number}", target=target, author="settings", read_only=True)
            for number, target in enumerate(document.targets)
        ]
        if rules:
            await self.context.bus.publish(RULES, [Record(rule.name.encode(), rule) for rule in rules])
