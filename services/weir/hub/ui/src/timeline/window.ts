import type { Asked } from "../place";
import type { Statistics } from "../types";

/** Times of the time line in ms since 1970; pure, `now` comes in. */

export interface Span {
  from: number;
  to: number;
}

export interface Window extends Span {
  /** Width of a bar in seconds, whole. */
  bucket: number;
  /** Its end moves on with the clock. */
  moving: boolean;
}

const MINUTE = 60_000;
export const USUAL = 15 * MINUTE;
const SHORTER = [2 * MINUTE, 5 * MINUTE];
const BARS = 120;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];
const UNITS: Record<string, number> = { ms: 1, s: 1000, m: MINUTE, h: 60 * MINUTE, d: 1440 * MINUTE };

/** A time as the API takes it (ns, ISO 8601, or an age); undefined for nothing and for what is none. */
export function timeOf(text: string, now: number): number | undefined {
  const age = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text);
  if (age) return now - Number(age[1]) * UNITS[age[2]!]!;
  if (/^\d+$/.test(text)) return Number(text) / 1e6;
  const time = text ? Date.parse(text) : NaN;
  return Number.isNaN(time) ? undefined : time;
}

/** How far back one looks unless asked otherwise: not much farther than to the `begin` of what is kept. */
export const usualOf = (now: number, begin?: number) => (begin === undefined ? USUAL : (SHORTER.find((span) => now - begin <= span) ?? USUAL));

/** What the time line shows; `newest`: time of the newest entry that is listed, which may be of long ago. */
export function windowOf(asked: Pick<Asked, "since" | "until">, now: number, newest?: number, usual = USUAL): Window {
  const until = timeOf(asked.until, now);
  const since = timeOf(asked.since, now);
  const old = newest !== undefined && newest < now - USUAL;
  const to = until ?? (old && since === undefined ? newest + MINUTE : now);
  const from = Math.min(since ?? to - (until === undefined && !old ? usual : USUAL), to - 1000);
  return { from, to, bucket: bucketOf(to - from), moving: until === undefined && !(old && since === undefined) };
}

export const bucketOf = (span: number) => STEPS.find((step) => (span / 1000 / step) <= BARS) ?? Math.ceil(span / 1000 / BARS / 86_400) * 86_400;

/** One bar: what happened from `at` until the next one. */
export interface Bar {
  at: number;
  /** Calls a second, estimated where not all were decoded. */
  rate: number;
  errors: number;
  p50: number;
  p95: number;
  p99: number;
  /** Share of the conversations that was decoded. */
  share: number;
}

export function barsOf(groups: Iterable<Statistics>, { from, to, bucket }: Window): Bar[] {
  const made: Bar[] = [];
  for (const { since_ns, count, entries, errors, p50_us, p95_us, p99_us } of groups) {
    const at = since_ns / 1e6;
    if (at + bucket * 1000 <= from || at >= to) continue;
    const share = count > 0 ? Math.min(entries / count, 1) : 1;
    made.push({ at, rate: count / bucket, errors: errors / bucket, p50: p50_us, p95: p95_us, p99: p99_us, share });
  }
  return made.sort((a, b) => a.at - b.at);
}

/** Groups by the begin of their bucket, the newer ones over those that are known; what lies before the window goes. */
export function merged(known: ReadonlyMap<number, Statistics>, fresh: Statistics[], window: Window): Map<number, Statistics> {
  const made = new Map<number, Statistics>();
  for (const group of [...known.values(), ...fresh]) if (group.since_ns / 1e6 + window.bucket * 1000 > window.from) made.set(group.since_ns, group);
  return made;
}

/** Round times within the window, about as many as `wanted`. */
export function ticks({ from, to }: Span, wanted: number): number[] {
  const step = (STEPS.find((one) => (to - from) / 1000 / one <= wanted) ?? 86_400) * 1000;
  const offset = new Date(from).getTimezoneOffset() * MINUTE;
  const first = Math.ceil((from - offset) / step) * step + offset;
  return Array.from({ length: Math.max(0, Math.floor((to - first) / step) + 1) }, (_, n) => first + n * step);
}

/** Three times as long around the same middle, but not beyond now. */
export function wider({ from, to }: Span, now: number): Span {
  const more = to - from;
  const end = Math.min(to + more, now);
  return { from: end - 3 * more, to: end };
}

/** A moment that a person writes: a time of day, a day with it, ISO 8601, or an age. The last such moment before now. */
export function momentOf(text: string, now: number): number | undefined {
  const said = text.trim();
  const clock = /^(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?$/.exec(said);
  if (!clock) {
    const local = /^\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}/.test(said) ? said.replace(" ", "T") : said;
    return /^\d+$/.test(said) && said.length < 13 ? undefined : timeOf(local, now);
  }
  const [hours, minutes, seconds] = clock.slice(1).map((part) => Number(part ?? 0)) as [number, number, number];
  if (hours > 23 || minutes > 59 || seconds > 59) return undefined;
  const time = new Date(now);
  time.setHours(hours, minutes, seconds, 0);
  if (time.getTime() > now) time.setDate(time.getDate() - 1);
  return time.getTime();
}

const AROUND = 30_000;
export const around = (moment: number): Span => ({ from: moment - AROUND, to: moment + AROUND });

/** As the URL has it. */
export const bounds = ({ from, to }: Span) => ({ since: new Date(Math.floor(from)).toISOString(), until: new Date(Math.ceil(to)).toISOString() });
