"""What the kernel's maps have to hold: control document, endpoints, weir's own ends and this node's addresses put
together. Pure.

An end has one entry for its address and port, or for its address alone; what is static (targets, exclusions, own ends)
adds up, what its endpoint record says comes from the most exact record that is in force, as in `weir.directory`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from weir.capture.bpf.layout import WORD, End, Mode, end_key, end_value, net_key, port_key
from weir.directory.vantage import node_number
from weir.errors import SettingsError
from weir.model.control import OUTLINE, Control, EndpointRecord
from weir.net.target import Network, Target, network_of, parse_target

_STATIC = End.CHOSEN | End.EXCLUDED | End.OWN | End.UNSURE
_WHOLE = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))

Changes = dict[bytes, bytes | None]
"""New values by key; None where an entry goes."""


class Contents(msgspec.Struct, kw_only=True):
    """What changed since the last time, and what it comes to."""

    ends: Changes
    nets: Changes
    ports: Changes
    asides: Changes
    mode: Mode
    addresses: int
    """Entries of ends that are targeted."""
    revision: int
    """The newest of the endpoint records that were read."""


class _Holder(msgspec.Struct, frozen=True):
    """What one endpoint record says of an end."""

    since_ns: int
    flags: End
    node: int


class Selection:
    def __init__(self, own: Sequence[Target] = ()) -> None:
        self.wrong: list[str] = []
        """What could not be understood of the control document."""
        self._own = list(own)
        self._control = OUTLINE
        self._local: frozenset[bytes] = frozenset()
        self._records: dict[bytes, EndpointRecord] = {}
        self._revision = 0
        self._holders: dict[bytes, dict[bytes, _Holder]] = {}
        """By key of the end, then by key of the record."""
        self._networks: dict[bytes, EndpointRecord] = {}
        """Records of networks, by their key."""
        self._static: dict[bytes, End] = {}
        self._everything = False
        self._stale: set[bytes] = set()
        """Keys of ends whose value may have changed."""
        self._static_nets: dict[tuple[Network, int], End] = {}
        self._static_ports: dict[int, End] = {}
        self._asides: dict[bytes, bytes] = {}
        self._told: tuple[dict[bytes, bytes], ...] = ({}, {}, {}, {})
        self._targeted = 0
        self.adopt(OUTLINE)

    def adopt(self, control: Control) -> None:
        """From now on this document holds."""
        self._control = control
        self._stale |= self._static.keys()
        self._static, self._static_nets, self._static_ports, self.wrong = {}, {}, {}, []
        self._everything = False
        for target in self._own:
            self._add(target, End.OWN)
        for text in control.excluded:
            self._parse(text, End.EXCLUDED)
        for text in control.targets:
            self._parse(text, End.CHOSEN)
        for text in control.pod_ranges if control.pods else ():
            self._parse(text, End.UNSURE)
        for address in self._local:
            # A bridge of this node often has an address from its pods' range, and is no pod.
            self._add_end(end_key(address, 0), End.LOCAL)
        self._stale |= self._static.keys()

    def stay(self, addresses: Iterable[bytes]) -> bool:
        """The addresses of this node's own interfaces; True if that is news."""
        local = frozenset(addresses)
        if local == self._local:
            return False
        self._local = local
        self.adopt(self._control)
        return True

    def set_aside(self, interfaces: Iterable[int]) -> bool:
        """Indices of interfaces whose packets all appear elsewhere, too; True if that is news."""
        asides = {WORD.pack(index): WORD.pack(1) for index in interfaces}
        if asides == self._asides:
            return False
        self._asides = asides
        return True

    def learn(self, changes: Iterable[tuple[bytes, EndpointRecord | None]]) -> None:
        """What keys of the table of endpoints hold now; None for what is gone."""
        for key, record in changes:
            self._forget(key)
            if record is not None:
                self._put(key, record)

    def changes(self) -> Contents:
        """What is to be changed in the maps since the last call."""
        ends_told, nets_told, ports_told, asides_told = self._told
        ends: Changes = {}
        for key in self._stale:
            value = self._end(key)
            before = ends_told.get(key)
            if value == before:
                continue
            ends[key] = value
            self._targeted += _is_targeted(value) - _is_targeted(before)
            if value is None:
                del ends_told[key]
            else:
                ends_told[key] = value
        self._stale.clear()
        nets = self._nets()
        ports = {port_key(port): WORD.pack(flags) for port, flags in self._static_ports.items()}
        contents = Contents(
            ends=ends, nets=_difference(nets_told, nets), ports=_difference(ports_told, ports),
            asides=_difference(asides_told, self._asides),
            mode=self._mode(bool(nets), bool(ports)), addresses=self._targeted, revision=self._revision,
        )
        self._told = ends_told, nets, ports, self._asides
        return contents

    # Static targets

    def _parse(self, text: str, flag: End) -> None:
        try:
            self._add(parse_target(text), flag)
        except SettingsError as error:
            self.wrong.append(error.message)

    def _add(self, target: Target, flag: End) -> None:
        network = target.network
        if target.everything and flag is End.CHOSEN:
            self._everything = True
        elif target.everything:
            for whole in _WHOLE:
                self._add_net(whole, 0, flag)
        elif network is None or (flag is End.OWN and target.port and network.network_address.is_unspecified):
            self._static_ports[target.port] = self._static_ports.get(target.port, End(0)) | flag
        elif network.prefixlen == network.max_prefixlen:
            self._add_end(end_key(network.network_address.packed, target.port), flag)
        else:
            self._add_net(network, target.port, flag)

    def _add_end(self, key: bytes, flag: End) -> None:
        self._static[key] = self._static.get(key, End(0)) | flag

    def _add_net(self, network: Network, port: int, flag: End) -> None:
        self._static_nets[network, port] = self._static_nets.get((network, port), End(0)) | flag

    # Endpoints

    def _put(self, key: bytes, record: EndpointRecord) -> None:
        self._records[key] = record
        self._revision = max(self._revision, record.revision)
        if record.until_ns:
            return
        network = network_of(record.address)
        if network is None:
            return
        if network.prefixlen < network.max_prefixlen:
            self._networks[key] = record
            return
        end = end_key(network.network_address.packed, record.port)
        self._holders.setdefault(end, {})[key] = _Holder(record.since_ns, *_identity(record))
        self._stale.add(end)

    def _forget(self, key: bytes) -> None:
        record = self._records.pop(key, None)
        self._networks.pop(key, None)
        network = network_of(record.address) if record is not None else None
        if record is None or network is None or network.prefixlen < network.max_prefixlen:
            return
        end = end_key(network.network_address.packed, record.port)
        holders = self._holders.get(end, {})
        if holders.pop(key, None) is not None:
            self._stale.add(end)
        if not holders:
            self._holders.pop(end, None)

    def _end(self, key: bytes) -> bytes | None:
        flags, node = self._static.get(key, End(0)), 0
        holders = self._holders.get(key)
        if holders:
            newest = max(holders.values(), key=lambda holder: holder.since_ns)
            flags, node = flags | newest.flags, newest.node
        return end_value(flags, node) if flags else None

    # Networks

    def _nets(self) -> dict[bytes, bytes]:
        """A trie answers with the longest prefix alone, so each network has what those around it say, too."""
        static = dict(self._static_nets)
        known: dict[tuple[Network, int], EndpointRecord] = {}
        for record in sorted(self._networks.values(), key=lambda record: record.since_ns):
            network = network_of(record.address)
            if network is not None:
                known[network, record.port] = record
                static.setdefault((network, record.port), End(0))
        lengths = sorted({(network.version, network.prefixlen) for network, _ in static})
        nets = {}
        for network, port in _with_ports_around(static, lengths):
            flags, node = End(0), 0
            for around in _around(network, lengths):
                flags |= static.get((around, port), End(0)) & _STATIC
                for place in ((around, 0), (around, port)):
                    if place in known:
                        identity, node = _identity(known[place])
                        flags = flags & _STATIC | identity
            nets[net_key(network.network_address.packed, network.prefixlen, port)] = end_value(flags, node)
        return nets

    def _mode(self, nets: bool, ports: bool) -> Mode:
        control = self._control
        mode = Mode(0)
        for flag, wanted in (
            (Mode.CLOSED, not control.capture), (Mode.EVERYTHING, self._everything), (Mode.OUTLINE, control.outline),
            (Mode.PODS, control.pods), (Mode.NETS, nets), (Mode.PORTS, ports),
            (Mode.ASIDES, bool(self._asides)),
        ):
            if wanted:
                mode |= flag
        return mode


def _identity(record: EndpointRecord) -> tuple[End, int]:
    flags = End.KNOWN
    if record.targeted:
        flags |= End.TARGETED
    if record.front:
        flags |= End.FRONT
    if record.captured and record.node:
        return flags | End.CAPTURED, node_number(record.node)
    return flags, 0


def _around(network: Network, lengths: Sequence[tuple[int, int]]) -> Iterator[Network]:
    """The networks of these lengths that this one lies in, the widest first, itself last."""
    for version, length in lengths:
        if version == network.version and length <= network.prefixlen:
            yield network.supernet(new_prefix=length)


def _with_ports_around(
    static: Mapping[tuple[Network, int], End], lengths: Sequence[tuple[int, int]]
) -> set[tuple[Network, int]]:
    """The longest prefix decides before the port does, so a network also has an entry for each port that is named for
    a wider one."""
    ports: dict[Network, set[int]] = {}
    for network, port in static:
        ports.setdefault(network, set()).add(port)
    return {
        (network, port)
        for network in ports for around in _around(network, lengths) for port in ports.get(around, ())
        if port or around == network
    }


def _is_targeted(value: bytes | None) -> bool:
    return value is not None and bool(value[0] & (End.TARGETED | End.CHOSEN))


def _difference(before: Mapping[bytes, bytes], after: Mapping[bytes, bytes]) -> Changes:
    changed: Changes = {key: value for key, value in after.items() if before.get(key) != value}
    changed.update({key: None for key in before if key not in after})
    return changed
