/** What an entry says, as rows of names and values with the conditions that select them. Pure. */
import type { Entry, Message, Peer } from "../types";
import { clause, item, member } from "./clause";
import { sent, set } from "./cookies";
import type { Pair } from "./pairs";

/** Fields with a place of their own in the detail, or of no use to a reader. */
const PLACED = new Set(["v", "version", "src", "dst", "request", "response", "ok", "summary", "weird", "incomplete", "query_string", "timestamp", "tags"]);
/** Items of a list that have rows of their own. */
const ITEMS = 50;

/** All other fields, the entry's own after the protocol's. */
export function fieldRows(entry: Entry): Pair[] {
  const own = new Set(["id", "flow_id", "community_id", "stream_id", "instance", "cluster", "node_name", "source", "sample_rate", "transport", "direction", "tls", "kind", "protocol"]);
  const names = Object.keys(entry).filter((name) => !PLACED.has(name));
  return [...names.filter((name) => !own.has(name)), ...names.filter((name) => own.has(name))].flatMap((name) => rows(name, entry[name]));
}

function rows(name: string, value: unknown): Pair[] {
  if (Array.isArray(value)) return value.slice(0, ITEMS).map((one, at) => ({ name: at ? "" : name, value: text(one), condition: member(name, one) }));
  if (isMap(value)) return mapRows(name, value);
  return [{ name, value: text(value), condition: /^\w+$/.test(name) ? clause(name, value) : undefined }];
}

export function mapRows(map: string, values: Record<string, unknown> | undefined): Pair[] {
  return Object.entries(values ?? {}).map(([key, value]) => ({ name: key, value: text(value), condition: typeof value === "string" ? clause(item(map, key), value) : undefined }));
}

export const queryRows = (entry: Entry) => (isMap(entry.query_string) ? mapRows("query_string", entry.query_string) : []);

/** Headers; cookies have a table of their own. */
export const headerRows = (side: "request" | "response", { headers }: Message) =>
  mapRows(`${side}.headers`, headers).filter(({ name }) => name !== "cookie" && name !== "set-cookie");

export function cookieRows(side: "request" | "response", message: Message): Pair[] {
  const cookies = side === "request" ? sent(message) : set(message);
  return cookies.map(({ name, value, attributes }) => ({ name, value, more: attributes, condition: clause(item(`${side}.cookies`, name), value) }));
}

const PEER = ["name", "namespace", "workload", "node", "role", "ip", "port"] as const;

/** One end of the conversation. */
export function peerRows(end: "src" | "dst", peer: Peer): Pair[] {
  const known = peer as Record<string, unknown>;
  const made: Pair[] = PEER.filter((name) => known[name]).map((name) => ({ name, value: text(known[name]), condition: clause(`${end}.${name}`, known[name]) }));
  for (const part of ["service", "pod"] as const) {
    const named = known[part];
    if (!isMap(named) || typeof named.name !== "string" || named.name === known.name) continue;
    made.splice(2, 0, { name: part, value: named.name, condition: clause(`${end}.${part}.name`, named.name) });
  }
  if (isMap(known.labels)) made.push(...mapRows(`${end}.labels`, known.labels));
  return made;
}

const isMap = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

function text(value: unknown): string {
  if (typeof value === "string") return value;
  // A record of the protocol, e.g. of DNS: read faster than JSON.
  if (isMap(value) && Object.values(value).every((one) => typeof one !== "object")) return Object.entries(value).map(([key, one]) => `${key} ${String(one)}`).join(" · ");
  try {
    return JSON.stringify(value) ?? "";
  } catch {
    return "(nested too deeply to be shown)";
  }
}
