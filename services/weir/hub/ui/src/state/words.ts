/** Stages, losses and rules in words that a user understands. Pure. */
import type { RuleWish } from "../types";
import type { WholeRule } from "./types";

export const STAGES: Record<string, string> = {
  capture: "reads packets from the network",
  filter: "keeps what was asked for",
  decode: "turns packets into calls",
  store: "keeps entries as history",
  hub: "answers this page and the terminal",
  targets: "watches the cluster and its rules",
};
/** The way of a packet. */
export const ORDER = Object.keys(STAGES);

/** What each stage's work is counted by, and what that counts. */
export const WORK: Record<string, [string, string]> = {
  capture: ["capture.packets", "packets"],
  filter: ["filter.segments", "segments"],
  decode: ["decode.entries", "entries"],
  store: ["store.entries", "entries"],
};

interface Reason {
  /** What is missing, and why. */
  says: string;
  /** What can be done about it. */
  hint?: string;
}

const REASONS: Record<string, Reason> = {
  "capture.kernel": { says: "packets that the kernel dropped: capture did not read them in time", hint: "narrow the rules, or give capture more CPU" },
  "capture.bus": { says: "packets for which the bus had no room", hint: "is Kafka well? Narrow the rules, or add partitions" },
  "capture.ceiling": { says: "packets of conversations that were left out above the node's ceiling", hint: "narrow the rules, or raise capture.ceiling_bytes_s" },
  "capture.flow_table": { says: "totals of flows that the kernel forgot: more flows at once than capture.flow_entries" },
  "capture.tallies": { says: "totals of flows that could not be read from the kernel" },
  "capture.recorder": { says: "packets that the recorder could not write" },
  "capture.seconds_away": { says: "seconds in which nobody captured: the node or its capture was cut down" },
  "filter.fragments": { says: "fragments of packets whose rest did not come" },
  "filter.hold_full": { says: "packets of pods that were not known yet: too many waited at once" },
  "filter.hold_late": { says: "packets of pods that did not become known in time" },
  "filter.waiting_bytes": { says: "packets that had to wait, beyond what memory allows" },
  "decode.reorder_overflow": { says: "segments out of order, beyond what memory allows" },
  "decode.oversized": { says: "entries that were too large for the bus" },
  "decode.late": { says: "segments that came after their conversation had been closed" },
  "decode.gap_bytes": { says: "bytes within conversations that nobody captured" },
  "decode.flow_evicted": { says: "conversations that were given up for want of memory" },
  "decode.state_unreadable": { says: "conversations in progress whose saved state could not be read" },
  "store.no_id": { says: "entries without an id" },
};
const ENDINGS: [string, Reason][] = [
  ["overtaken", { says: "records that Kafka deleted before they were read", hint: "add processes of this stage, or let the topic keep more" }],
  ["undecodable", { says: "records that could not be read" }],
  ["cut_off", { says: "records that were cut off when the process ended" }],
];

/** A loss's place, and what it means. */
export function loss(what: string): { stage: string; reason: Reason } {
  const stage = what.split(".")[0] ?? "";
  const known = REASONS[what] ?? ENDINGS.find(([ending]) => what.endsWith(`.${ending}`))?.[1];
  return { stage, reason: known ?? { says: what.slice(stage.length + 1).replaceAll("_", " ") || what } };
}

const SELECTORS = ["pod", "workload", "service", "labels", "node"] as const;

/** What a rule selects. */
export function selects(rule: WholeRule | RuleWish): string {
  const parts: string[] = [];
  if (rule.target) parts.push(rule.target === "all" ? "everything" : rule.target);
  for (const name of SELECTORS) if (rule[name]) parts.push(`${name} ${rule[name]}`);
  if (rule.namespaces?.length) parts.push(`in ${rule.namespaces.join(", ")}`);
  if (rule.exclude_namespaces?.length) parts.push(`not in ${rule.exclude_namespaces.join(", ")}`);
  if (rule.port) parts.push(`port ${rule.port}`);
  if (!rule.target && parts.length && !SELECTORS.some((name) => rule[name])) parts.unshift("all pods");
  return parts.join(", ") || "all pods";
}

const SOURCES: Record<string, string> = { settings: "the settings", file: "a file", helm: "Helm", cli: "the terminal", hub: "this page" };

/** Where a rule comes from. */
export const origin = ({ source = "hub", author = "" }: WholeRule) =>
  [SOURCES[source] ?? source, author && author !== source && author !== "page" ? `by ${author.replace(/^cli /, "")}` : ""].filter(Boolean).join(", ");

/** A length of time in its largest unit. */
export function lasting(seconds: number): string {
  const units: [number, string][] = [[86_400, "day"], [3_600, "hour"], [60, "minute"]];
  for (const [length, name] of units) {
    if (seconds >= length) {
      const count = Math.round(seconds / length);
      return `${count} ${name}${count === 1 ? "" : "s"}`;
    }
  }
  return `${Math.round(seconds)} s`;
}
