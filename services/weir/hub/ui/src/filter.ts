import type { Entry } from "./types";

/** The filter language as far as the page writes it: pieces of text that are joined by *and*. The hub decides what is right. */

export type Kind = "text" | "number" | "name" | "sign" | "space" | "comment" | "other";
export interface Token {
  kind: Kind;
  text: string;
  start: number;
}

const LEXED =
  /(?<comment>\/\/[^\n]*)|(?<text>[bBrR]{0,2}(?:"(?:[^"\\\n]|\\.)*(?:"|$)|'(?:[^'\\\n]|\\.)*(?:'|$)))|(?<number>(?:0[xX][\da-fA-F]+|\d+(?:\.\d+)?)[uU]?)|(?<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)|(?<space>\s+)|(?<sign>&&|\|\||[=!<>]=|[-+*\/%<>!?:.,()[\]{}])|(?<other>.)/gs;

/** Every character of the text, in pieces. */
export function tokens(text: string): Token[] {
  return [...text.matchAll(LEXED)].map((found) => {
    const kind = Object.entries(found.groups!).find(([, piece]) => piece !== undefined)![0] as Kind;
    return { kind, text: found[0], start: found.index };
  });
}

/** The conditions that a filter joins by *and*; one, if it is anything else. */
export function conditions(text: string): string[] {
  const found: string[] = [];
  let depth = 0;
  let from = 0;
  for (const { kind, text: sign, start } of tokens(text)) {
    if (kind === "comment") return [text.trim()];
    if (kind !== "sign") continue;
    if ("([{".includes(sign)) depth += 1;
    else if (")]}".includes(sign)) depth -= 1;
    else if (depth === 0 && (sign === "||" || sign === "?")) return [text.trim()];
    else if (depth === 0 && sign === "&&") {
      found.push(text.slice(from, start).trim());
      from = start + sign.length;
    }
  }
  return [...found, text.slice(from).trim()].filter(Boolean);
}

/** A condition that can stand beside `&&`. */
function beside(text: string): string {
  const loose = tokens(text).reduce(
    (state, { kind, text: sign }) => {
      if (kind === "sign" && "([{".includes(sign)) state.depth += 1;
      else if (kind === "sign" && ")]}".includes(sign)) state.depth -= 1;
      else if (kind === "sign" && state.depth === 0 && (sign === "||" || sign === "?")) state.found = true;
      else if (kind === "comment") state.found = true;
      return state;
    },
    { depth: 0, found: false },
  ).found;
  return loose ? `(${text}${/\/\/[^\n]*$/.test(text) ? "\n" : ""})` : text;
}

/** Both hold; a condition that is there already is not said again. */
export function join(filter: string, condition: string): string {
  const [have, more] = [filter.trim(), condition.trim()];
  if (!have || !more) return have || more;
  const known = conditions(have);
  const fresh = conditions(more).filter((one) => !known.includes(one));
  return fresh.length ? [beside(have), ...fresh.map(beside)].join(" && ") : have;
}

export const has = (filter: string, condition: string) => conditions(filter).includes(condition);

export function without(filter: string, condition: string): string {
  const left = conditions(filter).filter((one) => one !== condition);
  return left.length > 1 ? left.map(beside).join(" && ") : (left[0] ?? "");
}

export const toggled = (filter: string, condition: string) => (has(filter, condition) ? without(filter, condition) : join(filter, condition));

/** Protocols whose name is a condition of its own. */
export const PROTOCOLS = ["http", "grpc", "dns", "tls", "tcp", "udp"];
const NAMED = /^[a-z][a-z0-9_]*$/;
const COMPARED = /^protocol == "([^"\\]+)"$/;

function protocolsOf(condition: string, known: ReadonlySet<string>): string[] | undefined {
  const bare = condition.startsWith("(") && condition.endsWith(")") ? condition.slice(1, -1) : condition;
  const names = bare.split("||").map((one) => {
    const said = one.trim();
    return COMPARED.exec(said)?.[1] ?? (NAMED.test(said) && known.has(said) ? said : undefined);
  });
  return names.every((name) => name !== undefined) ? names : undefined;
}

/** The protocols that a filter is narrowed to by a condition of its own; none, if it is not. */
export function protocolsIn(filter: string, known: Iterable<string> = PROTOCOLS): string[] {
  const names = new Set(known);
  for (const one of conditions(filter)) {
    const found = protocolsOf(one, names);
    if (found) return found;
  }
  return [];
}

/** The filter narrowed to these protocols instead of those it was narrowed to; `flags`: names that are conditions. */
export function withProtocols(filter: string, wanted: string[], flags: Iterable<string> = PROTOCOLS): string {
  const names = new Set([...flags, ...wanted]);
  const rest = conditions(filter).filter((one) => !protocolsOf(one, names));
  const said = wanted.map((name) => (new Set(flags).has(name) ? name : `protocol == ${quoted(name)}`));
  const mine = said.length > 1 ? `(${said.join(" || ")})` : (said[0] ?? "");
  const others = rest.length > 1 || mine ? rest.map(beside) : rest;
  return [mine, ...others].filter(Boolean).join(" && ");
}

/** A text literal. */
export const quoted = (text: string) => JSON.stringify(text);

/** Words as people type them to find something: no sign of the language in them. */
export const isPlain = (text: string) => /^[\w\-./:@ ]+$/.test(text.trim()) && !/\b(in|true|false)\b/.test(text);

/** Entries that say these words in their line, in any case. */
export const finding = (words: string) => `summary.matches(${quoted(`(?i)${words.trim().replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}`)})`;

const ASKS_FOR_CONNECTIONS = /^(tcp|udp|icmp|flow_id|kind|protocol|id|community_id|conn|flow|tcp_conn|udp_conn|tcp_flow|udp_flow|conn_\w+|flow_\w+|handshake_rtt|undecoded)$/;

/**
 * A connection whose calls have entries of their own says nothing new in a list of calls: it is left out unless the
 * filter speaks of connections. `weir read` leaves out the same ones.
 */
export function hides(filter: string): (entry: Entry) => boolean {
  if (tokens(filter).some(({ kind, text }) => kind === "name" && ASKS_FOR_CONNECTIONS.test(text))) return () => false;
  return (entry) => entry.kind === "flow" && (told(entry.conn_l7_detected) || told(entry.flow_l7_detected));
}

const told = (found: unknown) => Array.isArray(found) && found.length > 0;
