import { ApiError, dropped, history, told } from "./api";
import { hides } from "./filter";
import { type Asked, isLive } from "./place";
import { ORDER, Ring } from "./ring";
import { type Connection, Tail, type TailEvents } from "./tail";
import type { Entry, Page, TailMessage } from "./types";

export const KEPT = 10_000;
/** Rows that a reader sees at once, about: as many are looked for before waiting for a scroll. */
const ENOUGH = 40;
/** Pages that one wish for history may cost, where most of their entries are hidden. */
const PAGES = 5;

export interface Follower {
  follow(asked: Asked): void;
  pause(paused: boolean): void;
  close(): void;
}

export interface Source {
  history(asked: Asked, cursor: string, signal: AbortSignal): Promise<Page>;
  tail(asked: Asked, events: TailEvents): Follower;
}

const HUB: Source = { history, tail: (asked, events) => new Tail(asked, events) };
const NONE = { matched: 0, shown: 0, missed: 0, hidden: 0 };

/** The list that a reader looks at: history and live entries under one filter, and what is to be said about them. */
export class Feed {
  ring: Ring;
  paused = false;
  connection: Connection = "connecting";
  /** Of what came live since this was asked for. */
  counts = { ...NONE };
  /** Of the history that is listed: left out for a tag. */
  hiddenBefore = 0;
  trouble = "";
  /** The wrong piece of the filter, where that is the trouble. */
  refused: ApiError | undefined;
  /** Whether the first page of what was asked for has come, or failed to. */
  loaded = false;
  /** Whether history was read to its end. */
  complete = false;
  /** Counts the wishes: the list is another one whenever this changes. */
  round = 0;

  private readonly tail: Follower;
  private next = "";
  private asking = new AbortController();
  private busy = false;
  private wasLost = false;
  /** The hub did not take the filter over and goes on with the one before. */
  private deaf = false;
  /** Live entries that came while history was asked for: the archive may not have them yet. */
  private meanwhile: Entry[] = [];

  constructor(
    public asked: Asked,
    private readonly changed: () => void,
    private readonly source: Source = HUB,
  ) {
    this.ring = new Ring(KEPT, ORDER[asked.order]);
    this.tail = source.tail(asked, {
      onMessage: (message) => this.take(message),
      onState: (state) => this.connected(state),
    });
    if (!this.live) this.tail.pause(true);
    void this.reload();
  }

  /** Whether what comes belongs to the list, paused or not. */
  get live(): boolean {
    return isLive(this.asked);
  }

  close(): void {
    this.asking.abort();
    this.tail.close();
  }

  follow(asked: Asked): void {
    const before = this.asked;
    const wasLive = this.live;
    this.asked = asked;
    this.counts = { ...NONE };
    this.round += 1;
    this.deaf = false;
    this.loaded = false;
    if (asked.order !== before.order) this.ring = new Ring(KEPT, ORDER[asked.order]);
    // The socket stays open while history is looked at: it tells whether the hub is there.
    if (asked.filter !== before.filter || asked.hidden !== before.hidden) this.tail.follow(asked);
    if (wasLive !== this.live) this.tail.pause(this.paused || !this.live);
    void this.reload();
    this.changed();
  }

  pause(paused: boolean): void {
    this.paused = paused;
    if (this.live) {
      this.tail.pause(paused);
      if (!paused) void this.reload();
    }
    this.changed();
  }

  /**
   * History from its newest entry on, in place of the list. To mend is to keep the list where that leaves no gap: a
   * weir that keeps history in memory has none after its restart, and what a reader looks at is all there is.
   */
  async reload(mend = false): Promise<void> {
    this.meanwhile = [];
    this.next = "";
    await this.ask(({ entries, next, hidden }, first) => {
      if (first) {
        this.hiddenBefore = 0;
        const joins = !next || entries.some((entry) => this.ring.get(entry.id));
        if (!mend || !joins) this.ring.clear();
        this.counts.missed = 0;
      }
      this.hiddenBefore += hidden ?? 0;
      this.add(entries);
      this.add(this.meanwhile);
    });
  }

  /** The next older entries, if there are any and room for them. */
  async older(): Promise<void> {
    if (this.busy || !this.next || this.ring.full) return;
    await this.ask(({ entries, hidden }) => {
      this.hiddenBefore += hidden ?? 0;
      this.add(entries);
    });
  }

  /** Ask for pages until enough rows came of them; an answer that was overtaken by another wish is thrown away. */
  private async ask(put: (page: Page, first: boolean) => void): Promise<void> {
    this.asking.abort();
    const { signal } = (this.asking = new AbortController());
    this.busy = true;
    try {
      let target = 0;
      for (let page = 0; page < PAGES; page += 1) {
        const found = await this.source.history(this.asked, this.next, signal);
        if (signal.aborted) return;
        if (page === 0) target = (this.next ? this.ring.length : 0) + ENOUGH;
        put(found, page === 0);
        this.next = found.next ?? "";
        this.complete = !this.next;
        this.loaded = true;
        this.trouble = "";
        this.refused = undefined;
        this.changed();
        if (!this.next || this.ring.length >= target) break;
      }
    } catch (error) {
      if (!signal.aborted && !dropped(error)) this.fail(error);
    } finally {
      if (!signal.aborted) this.busy = false;
    }
    this.changed();
  }

  private fail(error: unknown): void {
    this.loaded = true;
    this.trouble = told(error);
    const wrong = error instanceof ApiError && error.status === 400;
    this.refused = wrong && error.position >= 0 ? error : undefined;
    // What was asked for cannot be shown: what is there answers another question.
    if (wrong) this.ring.clear();
  }

  private add(entries: Entry[]): void {
    this.ring.add(entries, hides(this.asked.filter));
  }

  private take(message: TailMessage): void {
    if (message.error) {
      this.trouble = told(new ApiError(400, message.error, message.hint ?? ""));
      this.deaf = true;
    } else if (this.live && !this.deaf) {
      const entries = message.entries ?? [];
      if (this.busy) this.meanwhile.push(...entries);
      this.add(entries);
      this.counts.matched += message.matched ?? 0;
      this.counts.shown += message.shown ?? 0;
      this.counts.missed += message.missed ?? 0;
      this.counts.hidden += message.hidden ?? 0;
    }
    this.changed();
  }

  /** After a loss there is a gap in what came live: history fills it. */
  private connected(state: Connection): void {
    this.connection = state;
    if (state === "lost") this.wasLost = true;
    if (state === "live" && this.wasLost) {
      this.wasLost = false;
      if (!this.paused || !this.live) void this.reload(true);
    }
    this.changed();
  }
}
