"""What is said of an exchange that lacks a half, in the words that all protocols share."""

from __future__ import annotations

from weir.model.flow import Side

NO_RESPONSE = "response not seen"
NO_REQUEST = "request not seen"


def reset_by(side: Side, *, asked: bool = True, answering: bool = False) -> str:
    """Who ended an exchange before its end, and how far it had come: whether its request was there as a whole, and
    whether its response had begun."""
    when = "within the response" if answering else "after the request" if asked else "within the request"
    return f"reset by {side.name.lower()} {when}"
