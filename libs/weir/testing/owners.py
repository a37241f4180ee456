"""Packets of one directed TCP flow as two interfaces show them, and which of them are to be taken: for the engine and
for the kernel's filter alike."""

from __future__ import annotations

from weir.model.segments import ACK, FIN, RST, SYN

Shown = tuple[int, int, int, int, bool]
"""Interface, sequence number, bytes, flags; whether it is taken."""

SHOWN: dict[str, list[Shown]] = {
    "copies": [(1, 9, 0, SYN, True), (2, 9, 0, SYN, False), (1, 10, 5, ACK, True), (2, 10, 5, ACK, False),
               (1, 15, 0, FIN | ACK, True), (2, 15, 0, FIN | ACK, False)],
    "the owner fails": [(1, 10, 5, ACK, True), (2, 10, 5, ACK, False), (2, 15, 5, ACK, True), (2, 20, 5, ACK, True),
                        (1, 20, 5, ACK, False)],
    "the owner repeats itself": [(1, 10, 5, ACK, True), (1, 10, 5, ACK, True), (2, 10, 5, ACK, False)],
    "merged on the way": [(1, 10, 5, ACK, True), (1, 15, 5, ACK, True), (2, 10, 10, ACK, False)],
    "split on the way": [(1, 10, 10, ACK, True), (2, 10, 5, ACK, False), (2, 15, 5, ACK, False)],
    "watched from the middle on": [(2, 10, 5, ACK, True), (1, 15, 5, ACK, True), (2, 15, 5, ACK, False)],
    "nothing but acknowledgements": [(1, 10, 0, ACK, True), (2, 10, 0, ACK, False), (2, 10, 0, ACK, False)],
    "past the highest number": [(1, 0xFFFFFFF0, 32, ACK, True), (2, 0xFFFFFFF0, 32, ACK, False), (2, 16, 1, ACK, True)],
    "opened anew with a lower number": [(1, 900, 0, SYN, True), (2, 100, 0, SYN, True), (1, 100, 0, SYN, False),
                                        (2, 101, 5, ACK, True)],
    "closed elsewhere": [(1, 10, 5, ACK, True), (2, 15, 0, FIN | ACK, True), (1, 15, 0, FIN | ACK, False)],
    "reset elsewhere": [(1, 10, 5, ACK, True), (2, 15, 0, RST, True), (1, 15, 0, RST, False)],
}
