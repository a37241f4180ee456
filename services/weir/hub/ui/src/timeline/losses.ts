import type { Loss } from "../types";

/** Something was lost between two looks at the health; kept while the page is open, for no one else keeps it. */
export interface Lost {
  from: number;
  to: number;
  what: string;
  count: number;
}

const KEPT = 500;

export class LossLog {
  readonly marks: Lost[] = [];
  private before = new Map<string, number>();
  private looked = 0;

  /** What the health says of losses at `now`, in ms. */
  take(losses: Loss[], now: number): void {
    const seen = new Map<string, number>();
    for (const { process = "", what, count, per_s } of losses) {
      const key = `${process} ${what}`;
      seen.set(key, count);
      // Counts begin anew with their process; of what was lost before the first look only the present is known.
      const had = this.before.get(key) ?? (this.looked ? 0 : count);
      const fresh = count >= had ? count - had : count;
      if (fresh > 0) this.add({ from: this.looked, to: now, what, count: fresh });
      else if (!this.looked && per_s) this.add({ from: now - 1000, to: now, what, count: per_s });
    }
    this.before = seen;
    this.looked = now;
  }

  add(mark: Lost): void {
    this.marks.push(mark);
    if (this.marks.length > KEPT) this.marks.shift();
  }
}

/** What was lost within a span, in words; nothing if nothing was. */
export function lostWithin(marks: Lost[], from: number, to: number): string {
  const found = new Map<string, number>();
  for (const mark of marks) if (mark.to > from && mark.from < to) found.set(mark.what, (found.get(mark.what) ?? 0) + mark.count);
  return [...found].map(([what, count]) => `lost ${Math.round(count).toLocaleString()} (${what})`).join(", ");
}
