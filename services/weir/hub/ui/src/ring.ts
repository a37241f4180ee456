import type { Order } from "./place";
import type { Entry } from "./types";

/** Whether `a` stands below `b` in the list. */
type Below = (a: Entry, b: Entry) => boolean;

const older: Below = (a, b) => a.timestamp < b.timestamp || (a.timestamp === b.timestamp && a.id < b.id);
const by = (rank: (entry: Entry) => number): Below => (a, b) => rank(a) < rank(b) || (rank(a) === rank(b) && older(a, b));

/** As the archive orders. */
export const ORDER: Record<Order, Below> = {
  newest: older,
  oldest: (a, b) => older(b, a),
  slowest: by((entry) => entry.elapsed_time ?? 0),
  failed: by((entry) => (entry.ok === false ? 1 : 0)),
};

/** The first entries in their order, the newest first unless another is given, each once in its highest version. */
export class Ring {
  /** From the bottom of the list to its top, where most comes in. */
  private items: Entry[] = [];
  private byId = new Map<string, Entry>();

  constructor(
    readonly limit: number,
    private readonly below: Below = older,
  ) {}

  get length(): number {
    return this.items.length;
  }

  get full(): boolean {
    return this.items.length >= this.limit;
  }

  /** Entry by its place: 0 is the first, the newest as a rule. */
  at(age: number): Entry | undefined {
    return this.items[this.items.length - 1 - age];
  }

  get(id: string): Entry | undefined {
    return this.byId.get(id);
  }

  ageOf(id: string): number {
    const entry = this.byId.get(id);
    return entry ? this.items.length - 1 - this.place(entry) : -1;
  }

  /** Takes entries in any order; one that is hidden takes an earlier version of itself away. */
  add(entries: Entry[], hidden: (entry: Entry) => boolean = () => false): void {
    const fresh: Entry[] = [];
    for (const entry of newest(entries)) {
      const have = this.byId.get(entry.id);
      if (have && (entry.version ?? 1) < (have.version ?? 1)) continue;
      if (have) this.remove(have);
      if (!hidden(entry)) fresh.push(entry);
    }
    this.merge(fresh.sort((a, b) => (this.below(a, b) ? -1 : 1)));
    const over = this.items.length - this.limit;
    if (over > 0) for (const old of this.items.splice(0, over)) this.byId.delete(old.id);
  }

  clear(): void {
    this.items = [];
    this.byId.clear();
  }

  /** Index of the first item that is not below `entry`. */
  private place(entry: Entry): number {
    let low = 0;
    let high = this.items.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.below(this.items[middle]!, entry)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private remove(entry: Entry): void {
    this.items.splice(this.place(entry), 1);
    this.byId.delete(entry.id);
  }

  /** Only what is above the first of `fresh` moves: live entries cost little, however long the list is. */
  private merge(fresh: Entry[]): void {
    const first = fresh[0];
    if (!first) return;
    const younger = this.items.splice(this.place(first));
    let at = 0;
    for (const entry of fresh) {
      while (at < younger.length && this.below(younger[at]!, entry)) this.items.push(younger[at++]!);
      this.items.push(entry);
      this.byId.set(entry.id, entry);
    }
    while (at < younger.length) this.items.push(younger[at++]!);
  }
}

function newest(entries: Entry[]): Iterable<Entry> {
  const best = new Map<string, Entry>();
  for (const entry of entries) {
    const have = best.get(entry.id);
    if (!have || (entry.version ?? 1) >= (have.version ?? 1)) best.set(entry.id, entry);
  }
  return best.values();
}
