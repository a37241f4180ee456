"""Stages and topics as data: what `weir topology` prints and what documentation and deployment are checked against."""

from __future__ import annotations

from collections.abc import Iterable

from weir.bus.api import Topic
from weir.runtime.service import Service


def as_text(stages: Iterable[type[Service]], instance: str) -> str:
    """One paragraph a stage."""
    lines: list[str] = []
    for stage in stages:
        lines.append(f"{stage.name:<8} {stage.title}")
        for verb, topics in (("takes", stage.consumes), ("reads", stage.reads), ("makes", stage.produces)):
            if topics:
                lines.append(f"         {verb} {', '.join(f'{instance}.{t.name}' for t in topics)}")
    return "\n".join(lines)


def as_mermaid(stages: Iterable[type[Service]], instance: str) -> str:
    """A Mermaid flow chart: stages as boxes, topics as the arrows' ends."""
    lines = ["flowchart LR"]
    topics: dict[str, Topic] = {}
    for stage in stages:
        lines.append(f"    {stage.name}[{stage.name}]")
        for topic in (*stage.consumes, *stage.reads, *stage.produces):
            topics[topic.name] = topic
        lines += [f"    {t.name} --> {stage.name}" for t in stage.consumes]
        lines += [f"    {t.name} -.-> {stage.name}" for t in stage.reads]
        lines += [f"    {stage.name} --> {t.name}" for t in stage.produces]
    lines[1:1] = [f"    {name}([{instance}.{name}])" for name in topics]
    return "\n".join(lines)


def as_data(stages: Iterable[type[Service]]) -> list[dict[str, object]]:
    return [
        {
            "stage": stage.name,
            "title": stage.title,
            "consumes": [t.name for t in stage.consumes],
            "reads": [t.name for t in stage.reads],
            "produces": [t.name for t in stage.produces],
        }
        for stage in stages
    ]
