/** Values of an entry as conditions of the filter language. Pure. */
import type { Entry, Peer } from "../types";

/** Longer texts are compared by their beginning: a filter is to be read. */
const LONGEST = 200;
const NAME = /^[A-Za-z_]\w*$/;
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;
/** Fields that are instants, which a filter compares as such. */
const INSTANTS = new Set(["timestamp", "request.timestamp", "request.end", "response.timestamp", "response.end"]);

/** A text literal: quotes, backslashes and what cannot be seen are escaped. */
export function quote(text: string): string {
  const plain = text.replace(/["\\]/g, (c) => `\\${c}`);
  return `"${plain.replace(UNSEEN, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`)}"`;
}

/** The variable at a path: names with dots, from the first other key on in brackets. */
export function variable(path: readonly string[]): string {
  return path.map((key, at) => (NAME.test(key) ? (at ? `.${key}` : key) : `[${quote(key)}]`)).join("");
}

/** An item of a map, whatever its key looks like. */
export const item = (map: string, key: string) => `${map}[${quote(key)}]`;

/** The condition that holds where `name` has this value; undefined where the language has none. */
export function clause(name: string, value: unknown): string | undefined {
  if (INSTANTS.has(name)) return typeof value === "number" ? `${name} >= timestamp("${new Date(value / 1e6).toISOString()}")` : undefined;
  if (typeof value === "string") return text(name, value);
  if (typeof value === "boolean") return value ? name : `!${name}`;
  if (typeof value === "number") return Number.isFinite(value) ? `${name} == ${value}` : undefined;
  if (Array.isArray(value)) return value.length === 1 ? member(name, value[0]) : undefined;
  return undefined;
}

/** The condition that a list holds this. */
export const member = (name: string, value: unknown) => (typeof value === "string" ? `${quote(value)} in ${name}` : undefined);

function text(name: string, value: string): string {
  return value.length > LONGEST ? `${name}.startsWith(${quote(value.slice(0, LONGEST))})` : `${name} == ${quote(value)}`;
}

/** The condition that a body has this in it, as it was written there. */
export const inBody = (side: "request" | "response", source: string) => `${side}.body.text.contains(${quote(source.slice(0, LONGEST))})`;

/** All but what a condition selects. */
export const negated = (condition: string) => (/^[\w.]+$/.test(condition) ? `!${condition}` : `!(${condition})`);

/** The condition that one end is this peer: by its name, else by its address. */
export function peer(end: "src" | "dst", { name, namespace, ip }: Peer): string | undefined {
  if (name) return namespace ? `${end}.name == ${quote(name)} && ${end}.namespace == ${quote(namespace)}` : `${end}.name == ${quote(name)}`;
  return ip ? `${end}.ip == ${quote(ip)}` : undefined;
}

/** What tells calls of this kind from others, per protocol, the most telling first. */
const TELLING: Record<string, string[]> = {
  http: ["method", "path", "status_code"],
  grpc: ["grpc_method", "grpc_status"],
  dns: ["dns_name", "dns_type", "dns_rcode"],
  tls: ["tls_sni", "tls_alert"],
};

/** Entries like this one: same protocol, same server, same call, same outcome. */
export function similar(entry: Entry): string {
  const telling = (TELLING[entry.protocol] ?? []).map((name) => (entry[name] === undefined || entry[name] === "" ? undefined : clause(name, entry[name])));
  const protocol = NAME.test(entry.protocol) && entry.kind !== "flow" ? entry.protocol : clause("protocol", entry.protocol);
  const ends = entry.kind === "flow" ? [peer("src", entry.src), peer("dst", entry.dst)] : [peer("dst", entry.dst)];
  const outcome = entry.ok === false ? "failed" : undefined;
  const parts = [protocol, ...ends, ...telling, telling.some(Boolean) ? undefined : outcome];
  return parts.filter((part) => part !== undefined).join(" && ");
}
