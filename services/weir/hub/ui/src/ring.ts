import type { Entry } from "./types";

/** The newest entries, each once: of two versions of an entry the higher one is kept, in the place of the first. */
export class Ring {
  private items: Entry[] = [];
  private place = new Map<string, number>();
  /** How many entries were ever dropped from the old end: keeps `place` right without renumbering. */
  private dropped = 0;

  constructor(readonly limit: number) {}

  get length(): number {
    return this.items.length;
  }

  /** Entry by age: 0 is the newest. */
  at(age: number): Entry | undefined {
    return this.items[this.items.length - 1 - age];
  }

  ageOf(id: string): number {
    const place = this.place.get(id);
    return place === undefined ? -1 : this.items.length - 1 - (place - this.dropped);
  }

  /** Adds entries, oldest first; answers how many rows are new. */
  add(entries: Entry[]): number {
    let fresh = 0;
    for (const entry of entries) {
      const place = this.place.get(entry.id);
      if (place !== undefined) {
        const have = this.items[place - this.dropped];
        if (have && (entry.version ?? 1) >= (have.version ?? 1)) this.items[place - this.dropped] = entry;
        continue;
      }
      this.place.set(entry.id, this.items.length + this.dropped);
      this.items.push(entry);
      fresh += 1;
    }
    const over = this.items.length - this.limit;
    if (over > 0) {
      for (const old of this.items.splice(0, over)) this.place.delete(old.id);
      this.dropped += over;
    }
    return fresh;
  }

  clear(): void {
    this.items = [];
    this.place.clear();
    this.dropped = 0;
  }
}
