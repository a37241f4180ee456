import type { Preview, RuleWish, Statistics } from "../types";
import { size } from "../format";

/** What is worth looking into, from what the outline knows: who answers how much. Pure. */

export interface Candidate {
  name: string;
  /** Bytes in the time that was asked for. */
  bytes: number;
  calls: number;
  wish: RuleWish;
}

/** Groupings in the order in which they are tried: the first one that names something is taken. */
export const GROUPINGS = ["dst.service.namespace,dst.service.name", "dst.namespace,dst.workload", "dst.ip,dst.port"] as const;
const MOST = 3;
const FOR_S = 1800;
/** Names and clocks are needed by all, and tell little. */
const COMMON = new Set([53, 123, 5353]);

export function busiest(by: (typeof GROUPINGS)[number], groups: Statistics[]): Candidate[] {
  const found: Candidate[] = [];
  for (const { key, count, bytes, flow_bytes } of groups) {
    const [first, second] = [String(key[0] ?? ""), String(key[1] ?? "")];
    if (!second || (by === "dst.ip,dst.port" && (!first || !Number(second) || COMMON.has(Number(second))))) continue;
    const wish = wished(by, first, second);
    const name = by === "dst.ip,dst.port" ? String(wish.target) : `${second}${first ? `.${first}` : ""}`;
    found.push({ name, calls: count, bytes: Math.max(bytes, flow_bytes), wish: { ...wish, name: ruleName(name), for_s: FOR_S } });
  }
  return found.sort((a, b) => b.bytes - a.bytes || b.calls - a.calls).slice(0, MOST);
}

function wished(by: (typeof GROUPINGS)[number], first: string, second: string): RuleWish {
  if (by === "dst.ip,dst.port") return { target: first.includes(":") ? `[${first}]:${second}` : `${first}:${second}` };
  if (by === "dst.service.namespace,dst.service.name") return { service: first ? `${first}/${second}` : second };
  return { workload: second, ...(first ? { namespaces: [first] } : {}) };
}

const ruleName = (name: string) => `page-${name.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "")}`.slice(0, 60);

/** What choosing it would mean. */
export function meant({ pods, mb_per_s, gb_per_day, over_s, nodes }: Preview, candidate: Candidate): string {
  const what = candidate.wish.target ? "what goes there and comes from there" : `${pods} ${pods === 1 ? "pod" : "pods"}`;
  const rate = over_s ? `about ${size(mb_per_s * 1e6)}/s more to read (${size(gb_per_day * 1e9)} a day)` : "nothing is known yet of how much that is";
  const above = nodes.filter((node) => node["above"]).map((node) => node.node);
  return `${what}: ${candidate.wish.target && !mb_per_s ? "payload is read from now on" : rate}${above.length ? `; above the ceiling of ${above.join(", ")}` : ""}`;
}
