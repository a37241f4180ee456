import { expect, test } from "vitest";
import { ApiError } from "./api";
import { Feed, type Source } from "./feed";
import { type Asked, HOME } from "./place";
import type { TailEvents } from "./tail";
import type { Entry, Page } from "./types";

const entry = (n: number, more: Partial<Entry> = {}) => ({ id: `e${String(n).padStart(5, "0")}`, timestamp: n, kind: "exchange", ...more }) as Entry;
const noise = (n: number) => entry(n, { kind: "flow", conn_l7_detected: ["http"] });

/** A hub whose answers are given by the test. */
class FakeHub implements Source {
  asked: { asked: Asked; cursor: string; answer: (page: Page) => void; fail: (error: Error) => void }[] = [];
  wishes: unknown[] = [];
  events!: TailEvents;

  history(asked: Asked, cursor = ""): Promise<Page> {
    return new Promise((answer, fail) => this.asked.push({ asked, cursor, answer, fail }));
  }

  tail(_: Asked, events: TailEvents) {
    this.events = events;
    return {
      follow: (asked: Asked) => void this.wishes.push(asked.filter),
      pause: (paused: boolean) => void this.wishes.push(paused),
      close: () => void this.wishes.push("closed"),
    };
  }

  async answer(entries: Entry[], next: string | null = null, which = this.asked.length - 1) {
    this.asked[which]?.answer({ entries, next });
    await new Promise((done) => setTimeout(done));
  }

  live(...entries: Entry[]) {
    this.events.onMessage({ type: "entries", entries, matched: entries.length, shown: entries.length, missed: 0 });
  }
}

function made(more: Partial<Asked> = {}) {
  const hub = new FakeHub();
  const feed = new Feed({ ...HOME, ...more }, () => undefined, hub);
  return { hub, feed, rows: () => Array.from({ length: feed.ring.length }, (_, age) => feed.ring.at(age)?.timestamp) };
}

test("live entries that come while history is asked for are kept", async () => {
  const { hub, rows } = made();
  hub.live(entry(9));
  expect(rows()).toEqual([9]);
  await hub.answer([entry(2), entry(1)]);
  expect(rows()).toEqual([9, 2, 1]);
});

test("an answer that was overtaken by another filter is thrown away", async () => {
  const { hub, feed, rows } = made();
  feed.follow({ ...HOME, filter: "http" });
  await hub.answer([entry(5)]);
  await hub.answer([entry(1)], null, 0);
  expect(rows()).toEqual([5]);
});

test("older entries come by cursor until there are none", async () => {
  const { hub, feed, rows } = made();
  await hub.answer(Array.from({ length: 50 }, (_, n) => entry(100 - n)), "c1");
  expect(feed.complete).toBe(false);
  void feed.older();
  void feed.older();
  expect(hub.asked.map((one) => one.cursor)).toEqual(["", "c1"]);
  await hub.answer([entry(50), entry(49)]);
  expect(rows().slice(-2)).toEqual([50, 49]);
  expect(feed.complete).toBe(true);
  void feed.older();
  expect(hub.asked.length).toBe(2);
});

test("pages of hidden entries are passed over, but not without end", async () => {
  const { hub, feed, rows } = made();
  for (let page = 0; page < 5; page += 1) await hub.answer([noise(90 - page)], `c${page}`);
  expect(hub.asked.length).toBe(5);
  expect(rows()).toEqual([]);
  void feed.older();
  await hub.answer([entry(3)]);
  expect(rows()).toEqual([3]);
});

test("who goes on after a pause gets history anew", async () => {
  const { hub, feed, rows } = made();
  await hub.answer([entry(1)]);
  feed.pause(true);
  expect(hub.asked.length).toBe(1);
  feed.pause(false);
  await hub.answer([entry(2), entry(1)]);
  expect(rows()).toEqual([2, 1]);
  expect(hub.wishes).toEqual([true, false]);
});

function returns(hub: FakeHub) {
  for (const state of ["lost", "connecting", "live"] as const) hub.events.onState(state);
}

test("a connection that returns fills its gap from history", async () => {
  const { hub, feed, rows } = made();
  hub.events.onState("live");
  await hub.answer([entry(2), entry(1)], "c");
  await hub.answer([]);
  expect(hub.asked.length).toBe(2);
  returns(hub);
  await hub.answer([entry(7), entry(2)], "c");
  await hub.answer([]);
  expect([feed.connection, rows()]).toEqual(["live", [7, 2, 1]]);
});

test("the list stays when weir returns without its history", async () => {
  const { hub, rows } = made();
  await hub.answer([entry(1)]);
  returns(hub);
  await hub.answer([entry(7)]);
  expect(rows()).toEqual([7, 1]);
});

test("a gap that is too long to fill starts the list anew", async () => {
  const { hub, rows } = made();
  await hub.answer([entry(1)]);
  returns(hub);
  await hub.answer([entry(900), entry(899)], "c");
  await hub.answer([]);
  expect(rows()).toEqual([900, 899]);
});

test("what a slow page missed is told until history was loaded", async () => {
  const { hub, feed } = made();
  await hub.answer([]);
  hub.events.onMessage({ type: "entries", entries: [entry(1)], matched: 10, shown: 8, missed: 7, hidden: 2 });
  expect(feed.counts).toEqual({ matched: 10, shown: 8, missed: 7, hidden: 2 });
  void feed.reload();
  await hub.answer([entry(1)]);
  expect(feed.counts.missed).toBe(0);
});

test("trouble is told in words and goes when an answer comes", async () => {
  const { hub, feed } = made();
  hub.asked[0]?.fail(new TypeError("Failed to fetch"));
  await new Promise((done) => setTimeout(done));
  expect(feed.trouble).toBe("the hub does not answer");
  void feed.reload();
  await hub.answer([]);
  expect(feed.trouble).toBe("");
  hub.events.onMessage({ type: "error", error: "text is longer than 512 characters", hint: "shorten it" });
  expect(feed.trouble).toBe("text is longer than 512 characters: shorten it");
});

test("in history and in another order nothing comes live", async () => {
  const { hub, feed, rows } = made({ until: "5m" });
  expect(hub.wishes).toEqual([true]);
  await hub.answer([entry(3)]);
  hub.live(entry(9));
  expect(rows()).toEqual([3]);
  feed.follow({ ...HOME });
  await hub.answer([entry(9), entry(3)]);
  hub.live(entry(10));
  expect(rows()).toEqual([10, 9, 3]);
  feed.follow({ ...HOME, order: "slowest" });
  await hub.answer([entry(1, { elapsed_time: 90 }), entry(9, { elapsed_time: 5 })]);
  expect(rows()).toEqual([1, 9]);
  expect(hub.wishes).toEqual([true, false, true]);
});

test("who paused and looks at history meanwhile is still paused on the way back", async () => {
  const { hub, feed } = made();
  await hub.answer([]);
  feed.pause(true);
  feed.follow({ ...HOME, until: "5m" });
  feed.follow({ ...HOME });
  expect(hub.wishes).toEqual([true, true, true]);
  expect(feed.paused).toBe(true);
});

test("a filter that the hub refuses empties the list and says where it is wrong", async () => {
  const { hub, feed, rows } = made();
  await hub.answer([entry(1)]);
  feed.follow({ ...HOME, filter: "htp" });
  hub.asked.at(-1)?.fail(new ApiError(400, "unknown field `htp`", "did you mean `http`?", 0, 3));
  await new Promise((done) => setTimeout(done));
  expect([feed.loaded, rows(), feed.refused?.position]).toEqual([true, [], 0]);
  feed.follow({ ...HOME });
  await hub.answer([entry(1)]);
  expect([feed.trouble, feed.refused, rows()]).toEqual(["", undefined, [1]]);
});
