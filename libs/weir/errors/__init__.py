"""What goes wrong outside of weir, told to people.

    WeirError                 one line, an optional hint, an exit code
    ├── SettingsError         a setting, rule or argument is wrong        exit 2
    ├── SourceError           packets cannot be read                      exit 3
    │   └── PermissionMissing the process lacks a right to capture        exit 4
    ├── BusError              Kafka cannot be reached or refuses          exit 5
    ├── ArchiveError          entries cannot be kept or found             exit 6
    ├── HubError              a hub cannot be reached or refuses          exit 7
    ├── Quarantined           too much input cannot be processed          exit 8
    └── ClusterError          the Kubernetes API cannot be reached        exit 9

Odd traffic is never an error: it is data (`weird`, `incomplete`, a counter). A bug is a builtin exception.
"""

from __future__ import annotations


class WeirError(Exception):
    """One line for a person: what, where; and a hint on what to do next."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


class SettingsError(WeirError):
    exit_code = 2


class SourceError(WeirError):
    exit_code = 3


class PermissionMissing(SourceError):
    exit_code = 4


class BusError(WeirError):
    exit_code = 5


class ArchiveError(WeirError):
    exit_code = 6


class HubError(WeirError):
    exit_code = 7


class Quarantined(WeirError):
    exit_code = 8


class ClusterError(WeirError):
    exit_code = 9


EXIT_CODES: dict[int, str] = {
    0: "everything asked for was done",
    1: "an error that has no code of its own, or a bug",
    2: "a setting, rule or argument is wrong",
    3: "packets cannot be read from this source",
    4: "the process lacks the right to capture",
    5: "Kafka cannot be reached, or refuses",
    6: "the archive cannot be reached, or refuses",
    7: "the hub cannot be reached, or refuses",
    8: "too much input could not be processed; the stage stopped instead of draining its topic",
    9: "the Kubernetes API cannot be reached, or refuses",
    130: "interrupted (^C) before the work was complete; what was seen has been printed",
}
