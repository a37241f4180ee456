import { useEffect, useRef, useState } from "preact/hooks";
import { beginOf, dropped, params, stats } from "../api";
import { hides } from "../filter";
import type { Asked } from "../place";
import type { Statistics } from "../types";
import { type Bar, type Window, barsOf, merged, usualOf, windowOf } from "./window";

const SOONEST_MS = 2000;
/** What was drawn is asked for again as far back as this: entries reach the archive late. */
const LATE_MS = 15_000;
/** No more than this share of the time is spent on asking. */
const PATIENCE = 5;
const CALLS = "exchange,message,handshake";

export interface Drawn {
  window: Window;
  bars: Bar[];
  failed: boolean;
}

/**
 * The statistics of what is asked for, brought up to date while its end moves: whole once, then only its newest part.
 * Connections are counted where nothing but connections is known, or where they are asked for.
 */
export function useStats(asked: Asked, newest: number | undefined, outline: boolean): Drawn {
  const old = newest !== undefined && newest < Date.now() - 15 * 60_000 ? newest : undefined;
  const [drawn, setDrawn] = useState<Drawn>(() => ({ window: windowOf(asked, Date.now(), old), bars: [], failed: false }));
  const { filter, since, until, hidden } = asked;
  const counted = outline || !hides(filter)({ kind: "flow", conn_l7_detected: ["x"] } as never) ? {} : { kind: CALLS };
  const known = useRef(new Map<number, Statistics>());
  const begin = useRef<number>(undefined);
  useEffect(() => {
    const asking = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    known.current = new Map();
    let bucket = 0;
    const ask = async () => {
      const began = Date.now();
      let window = windowOf({ since, until }, began, old, usualOf(began, begin.current));
      try {
        if (!since && !until && begin.current === undefined) {
          const oldest = await beginOf(`${Math.floor(window.from)}000000`, "", asking.signal);
          if (oldest) begin.current = oldest / 1e6;
          window = windowOf({ since, until }, began, old, usualOf(began, begin.current));
        }
        await fill(window, began);
      } catch (error) {
        if (dropped(error)) return;
        setDrawn({ window, bars: barsOf(known.current.values(), window), failed: true });
      }
      if (!asking.signal.aborted && window.moving) timer = setTimeout(() => void look(), Math.max(SOONEST_MS, PATIENCE * (Date.now() - began)));
    };
    const fill = async (window: Window, began: number) => {
      // A bar that is cut at its begin would show less than there was.
      const start = Math.floor(window.from / 1000 / window.bucket) * window.bucket * 1000;
      const from = bucket === window.bucket && known.current.size ? Math.max(start, Math.floor((began - LATE_MS) / 1000 / bucket) * bucket * 1000 - bucket * 1000) : start;
      const groups = await stats(
        { ...params({ filter, hidden }), ...counted, since: `${from}000000`, until: `${Math.ceil(window.to)}000000`, bucket: String(window.bucket) },
        asking.signal,
      );
      if (bucket !== window.bucket) known.current = new Map();
      bucket = window.bucket;
      known.current = merged(known.current, groups, window);
      setDrawn({ window, bars: barsOf(known.current.values(), window), failed: false });
    };
    // Nobody sees a page in the background.
    const look = () => (document.hidden ? void (timer = setTimeout(() => void look(), SOONEST_MS)) : ask());
    void ask();
    return () => {
      asking.abort();
      clearTimeout(timer);
    };
  }, [filter, since, until, hidden, old, outline]);
  return drawn;
}
