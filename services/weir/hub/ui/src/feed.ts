import { ApiError, history, told } from "./api";
import { EVERYTHING, type Filter, hides } from "./filter";
import { Ring } from "./ring";
import { type Connection, Tail, type TailEvents } from "./tail";
import type { Entry, Page, TailMessage } from "./types";

export const KEPT = 50_000;
/** Rows that a reader sees at once, about: as many are looked for before waiting for a scroll. */
const ENOUGH = 40;
/** Pages that one wish for history may cost, where most of their entries are hidden. */
const PAGES = 5;

export interface Follower {
  follow(filter: Filter): void;
  pause(paused: boolean): void;
  close(): void;
}

export interface Source {
  history(filter: Filter, cursor?: string): Promise<Page>;
  tail(filter: Filter, events: TailEvents): Follower;
}

const HUB: Source = { history, tail: (filter, events) => new Tail(filter, events) };

/** The list that a reader looks at: history and live entries under one filter, and what is to be said about them. */
export class Feed {
  readonly ring = new Ring(KEPT);
  filter = EVERYTHING;
  paused = false;
  connection: Connection = "connecting";
  counts = { matched: 0, shown: 0, missed: 0 };
  trouble = "";
  /** Whether history was read to its beginning. */
  complete = false;

  private readonly tail: Follower;
  private next = "";
  private asking = 0;
  private busy = false;
  private wasLost = false;
  /** Live entries that came while history was asked for: the archive may not have them yet. */
  private meanwhile: Entry[] = [];

  constructor(
    private readonly changed: () => void,
    private readonly source: Source = HUB,
  ) {
    this.tail = source.tail(this.filter, {
      onMessage: (message) => this.take(message),
      onState: (state) => this.connected(state),
    });
    void this.reload();
  }

  close(): void {
    this.asking += 1;
    this.tail.close();
  }

  follow(filter: Filter): void {
    this.filter = filter;
    this.counts = { matched: 0, shown: 0, missed: 0 };
    this.tail.follow(filter);
    void this.reload();
    this.changed();
  }

  pause(paused: boolean): void {
    this.paused = paused;
    this.tail.pause(paused);
    if (!paused) void this.reload();
    this.changed();
  }

  /**
   * History from its newest entry on, in place of the list. To mend is to keep the list where that leaves no gap: a
   * weir that keeps history in memory has none after its restart, and what a reader looks at is all there is.
   */
  async reload(mend = false): Promise<void> {
    this.meanwhile = [];
    this.next = "";
    await this.ask(({ entries, next }, first) => {
      if (first) {
        const joins = !next || entries.some((entry) => this.ring.get(entry.id));
        if (!mend || !joins) this.ring.clear();
        this.counts.missed = 0;
      }
      this.add(entries);
      this.add(this.meanwhile);
    });
  }

  /** The next older entries, if there are any and room for them. */
  async older(): Promise<void> {
    if (this.busy || !this.next || this.ring.full) return;
    await this.ask(({ entries }) => this.add(entries));
  }

  /** Ask for pages until enough rows came of them; an answer that was overtaken by another wish is thrown away. */
  private async ask(put: (page: Page, first: boolean) => void): Promise<void> {
    const mine = ++this.asking;
    this.busy = true;
    try {
      let target = 0;
      for (let page = 0; page < PAGES; page += 1) {
        const found = await this.source.history(this.filter, this.next);
        if (mine !== this.asking) return;
        const { next } = found;
        if (page === 0) target = (this.next ? this.ring.length : 0) + ENOUGH;
        put(found, page === 0);
        this.next = next ?? "";
        this.complete = !next;
        this.trouble = "";
        this.changed();
        if (!next || this.ring.length >= target) break;
      }
    } catch (error) {
      if (mine === this.asking) this.trouble = told(error);
    } finally {
      if (mine === this.asking) this.busy = false;
    }
    this.changed();
  }

  private add(entries: Entry[]): void {
    this.ring.add(entries, hides(this.filter));
  }

  private take(message: TailMessage): void {
    if (message.error) {
      this.trouble = told(new ApiError(400, message.error, message.hint ?? ""));
    } else {
      const entries = message.entries ?? [];
      if (this.busy) this.meanwhile.push(...entries);
      this.add(entries);
      this.counts.matched += message.matched ?? 0;
      this.counts.shown += message.shown ?? 0;
      this.counts.missed += message.missed ?? 0;
    }
    this.changed();
  }

  /** After a loss there is a gap in what came live: history fills it. */
  private connected(state: Connection): void {
    this.connection = state;
    if (state === "lost") this.wasLost = true;
    if (state === "live" && this.wasLost) {
      this.wasLost = false;
      if (!this.paused) void this.reload(true);
    }
    this.changed();
  }
}
