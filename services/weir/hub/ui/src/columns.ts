import type { Entry, Field } from "./types";

/** Columns that a protocol's dissector declares stand in place of method, path and status when the list shows it alone. */
export interface Column {
  name: string;
  title: string;
  /** Share of the width that is left, as CSS `fr`; 0 for as much as a short value needs. */
  share: number;
}

const MOST = 5;
/** These are as long as a name or a path, others are short. */
const LONG = /path|name|url|query|key|summary|method$|topic|host|sni|command|message/;
const SHORT = /^method$|_type|status|version|code/;

/** The declared columns of one protocol; none, if it declares none or nothing is known of it. */
export function columnsOf(protocol: string | undefined, fields: Field[]): Column[] {
  if (!protocol) return [];
  return fields
    .filter(({ column, protocols }) => column && protocols.includes(protocol))
    .slice(0, MOST)
    .map(({ name, column }) => ({ name, title: column!, share: LONG.test(name) && !SHORT.test(name) ? 3 : 1 }));
}

/** A field's value in a cell. */
export function cell(entry: Entry, name: string): string {
  const value = name.split(".").reduce<unknown>((at, key) => (at && typeof at === "object" ? (at as Record<string, unknown>)[key] : undefined), entry);
  if (value === undefined || value === null) return "";
  if (Array.isArray(value)) return value.map((one) => (typeof one === "string" ? one : JSON.stringify(one))).join(", ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** An entry's line as method, path and status; undefined, where it says something else. */
export function said(entry: Entry): { method: string; path: string; status: string } | undefined {
  const { method, summary } = entry;
  if (typeof method !== "string" || !summary?.startsWith(`${method} `)) return undefined;
  const arrow = summary.lastIndexOf(" → ");
  const path = summary.slice(method.length + 1, arrow < 0 ? undefined : arrow);
  return { method, path, status: arrow < 0 ? "" : summary.slice(arrow + 3) };
}
