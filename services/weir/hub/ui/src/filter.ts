import type { Entry } from "./types";

/** What a reader asks for. Conditions are joined by *and*. */
export interface Filter {
  protocol: string[];
  text: string;
  /** Only what went wrong. */
  failed: boolean;
  /** Only this conversation. */
  flow: string;
}

export const EVERYTHING: Filter = { protocol: [], text: "", failed: false, flow: "" };
export const PROTOCOLS = ["http", "grpc", "dns", "tls", "tcp", "udp"];
const CONNECTIONS = new Set(["tcp", "udp"]);

export function params(filter: Filter): Record<string, string> {
  const asked: Record<string, string> = {};
  if (filter.protocol.length) asked.protocol = filter.protocol.join(",");
  if (filter.text) asked.text = filter.text;
  if (filter.failed) asked.ok = "false";
  if (filter.flow) asked.flow_id = filter.flow;
  return asked;
}

export const narrowed = (filter: Filter) => Object.keys(params(filter)).length > 0;

/**
 * A connection whose calls have entries of their own says nothing new in a list of calls: it is left out unless
 * connections (tcp, udp) or one conversation were asked for. `weir read` leaves out the same ones.
 */
export function hides(filter: Filter): (entry: Entry) => boolean {
  if (filter.flow || filter.protocol.some((name) => CONNECTIONS.has(name))) return () => false;
  return (entry) => entry.kind === "flow" && (told(entry.conn_l7_detected) || told(entry.flow_l7_detected));
}

const told = (found: unknown) => Array.isArray(found) && found.length > 0;
