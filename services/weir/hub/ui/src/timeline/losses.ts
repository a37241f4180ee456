import type { LostMark } from "../types";

/** Something was lost within a stretch of time, in ms. */
export interface Lost {
  from: number;
  to: number;
  what: string;
  count: number;
}

const KEPT = 100;

/** What the hub tells of losses in time, and what this page itself lost. */
export class LossLog {
  private told: Lost[] = [];
  private own: Lost[] = [];

  get marks(): Lost[] {
    return [...this.told, ...this.own];
  }

  /** What the health says. */
  take(lost: LostMark[]): void {
    this.told = lost.map(({ from_ns, to_ns, what, count }) => ({ from: from_ns / 1e6, to: to_ns / 1e6, what, count }));
  }

  add(mark: Lost): void {
    this.own = [...this.own, mark].slice(-KEPT);
  }
}

/** What was lost within a span, in words; nothing if nothing was. */
export function lostWithin(marks: Lost[], from: number, to: number): string {
  const found = new Map<string, number>();
  for (const mark of marks) if (mark.to > from && mark.from < to) found.set(mark.what, (found.get(mark.what) ?? 0) + mark.count);
  return [...found].map(([what, count]) => `lost ${Math.round(count).toLocaleString()} (${what})`).join(", ");
}
