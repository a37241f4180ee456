/** The installation as a person looks at it: by stage, by loss, by node. Pure. */
import type { Health, Process } from "../types";
import { ORDER, WORK, loss } from "./words";

export interface Stage {
  name: string;
  processes: Process[];
  /** Those that report. */
  up: number;
  /** Of what this stage counts, a second; undefined where it counts nothing. */
  perSecond: number | undefined;
  /** Records that wait to be read, by topic and partition. */
  partitions: { topic: string; partition: string; behind: number; process: string }[];
  behind: number;
  losing: number;
}

/** Whose topic a stage reads. */
const READS: Record<string, string> = { filter: "packets", decode: "segments", store: "entries" };

export function stages({ processes = [] }: Health): Stage[] {
  const names = [...new Set(processes.flatMap((one) => one.stages))].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
  return names.map((name) => {
    const own = processes.filter((one) => one.stages.includes(name));
    const up = own.filter((one) => one.state === "up");
    const counter = WORK[name]?.[0];
    const partitions = up.flatMap((one) => waiting(one, name));
    return {
      name,
      processes: own,
      up: up.length,
      perSecond: counter ? sum(up.map((one) => one.rates[counter] ?? 0)) : undefined,
      partitions,
      behind: sum(partitions.map(({ behind }) => behind)),
      losing: sum(up.flatMap((one) => Object.entries(one.rates).map(([what, rate]) => (what.startsWith(`lost.${name}.`) ? rate : 0)))),
    };
  });
}

function waiting(one: Process, stage: string): Stage["partitions"] {
  return Object.entries(one.lag).flatMap(([key, behind]) => {
    const slash = key.lastIndexOf("/");
    const [topic, partition] = slash < 0 ? [key, ""] : [key.slice(0, slash), key.slice(slash + 1)];
    // A process of several stages tells the lag of all of them.
    const wanted = READS[stage];
    const mine = one.stages.length === 1 || (wanted ? topic.endsWith(wanted) : !Object.entries(READS).some(([other, read]) => one.stages.includes(other) && topic.endsWith(read)));
    return mine ? [{ topic, partition, behind, process: one.process }] : [];
  });
}

const rank = (name: string) => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);
const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0);

export interface LossLine {
  what: string;
  stage: string;
  says: string;
  hint: string;
  count: number;
  perSecond: number;
  where: string[];
}

/** Losses of one kind together, what is being lost now first. */
export function losses({ losses: told = [] }: Health): LossLine[] {
  const lines = new Map<string, LossLine>();
  for (const { what, count, per_s = 0, process = "" } of told) {
    const { stage, reason } = loss(what);
    const line = lines.get(what) ?? { what, stage, says: reason.says, hint: reason.hint ?? "", count: 0, perSecond: 0, where: [] };
    line.count += count;
    line.perSecond += per_s;
    if (process) line.where.push(process);
    lines.set(what, line);
  }
  return [...lines.values()].sort((a, b) => b.perSecond - a.perSecond || b.count - a.count || (a.what < b.what ? -1 : 1));
}

export interface NodeCost {
  node: string;
  /** Cores, over the time since the last look; since the start of its processes at first. */
  cores: number;
  bytes: number;
  /** What it sends to the bus; undefined where nothing is captured. */
  mbPerSecond: number | undefined;
  gbPerDay: number | undefined;
  ceiling: number | undefined;
  above: boolean;
}

/** CPU seconds of each process at some time. */
export type Clocks = ReadonlyMap<string, { cpu: number; up: number }>;

export const clocks = ({ processes = [] }: Health): Clocks => new Map(processes.map((one) => [one.process, { cpu: one.cpu_s, up: one.uptime_s - one.age_s }]));

/** What weir itself costs, by node. */
export function costs({ processes = [], nodes = [] }: Health, before: Clocks): NodeCost[] {
  const found = new Map<string, NodeCost>();
  const at = (node: string) => {
    const known = found.get(node) ?? { node, cores: 0, bytes: 0, mbPerSecond: undefined, gbPerDay: undefined, ceiling: undefined, above: false };
    found.set(node, known);
    return known;
  };
  for (const one of processes) {
    if (one.state !== "up") continue;
    const cost = at(one.node || one.process);
    cost.cores += cores(one, before);
    cost.bytes += one.rss_bytes;
  }
  for (const { node, mb_per_s, gb_per_day, ceiling_mb_per_s, above } of nodes) {
    Object.assign(at(node), { mbPerSecond: mb_per_s, gbPerDay: gb_per_day, ceiling: ceiling_mb_per_s, above: above === true });
  }
  return [...found.values()].sort((a, b) => (a.node < b.node ? -1 : 1));
}

function cores({ process, cpu_s, uptime_s, age_s }: Process, before: Clocks): number {
  const up = uptime_s - age_s;
  const last = before.get(process);
  if (last && up - last.up > 0.5 && cpu_s >= last.cpu) return (cpu_s - last.cpu) / (up - last.up);
  return up > 0 ? cpu_s / up : 0;
}
