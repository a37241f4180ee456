"""All stages, in the order in which data flows."""

from __future__ import annotations

from weir.capture.service import CaptureService
from weir.decode.service import DecodeService
from weir.filter.service import FilterService
from weir.hub.service import HubService
from weir.runtime.service import Service
from weir.store.service import StoreService
from weir.targets.service import TargetsService

STAGES: dict[str, type[Service]] = {
    stage.name: stage
    for stage in (CaptureService, FilterService, DecodeService, StoreService, TargetsService, HubService)
}
