import "./timeline.css";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Feed } from "../feed";
import { clock, duration, perSecond } from "../format";
import type { Place } from "../place";
import { Plot, SIZE } from "./plot";
import { type Lost, lostWithin } from "./losses";
import { useStats } from "./usestats";
import { type Bar, type Span, bounds, wider } from "./window";

/** Fewer pixels are a click, not a drag. */
const DRAGGED = 5;

interface Props {
  feed: Feed;
  place: Place;
  go: (step: Partial<Place>) => void;
  lost: Lost[];
  outline: boolean;
}

/** Rate, errors and latency over time; a drag zooms into history. */
export function TimeLine({ feed, place, go, lost, outline }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const width = useWidth(box);
  const newest = place.order === "newest" ? feed.ring.at(0)?.timestamp : undefined;
  const { window, bars, failed } = useStats(place, newest === undefined ? undefined : newest / 1e6, outline);
  const { from, to, bucket } = window;
  /** Where the pointer or the keys are, as an index of a bucket, and where a drag began. */
  const [cursor, setCursor] = useState<number>();
  const [begin, setBegin] = useState<number>();
  const pressed = useRef<number>(undefined);

  const first = Math.floor(from / 1000 / bucket) * bucket * 1000;
  const count = Math.max(1, Math.ceil((to - first) / 1000 / bucket));
  const at = (index: number) => first + index * bucket * 1000;
  const indexOf = (event: PointerEvent) => {
    const place = event.clientX - box.current!.getBoundingClientRect().left - SIZE.left;
    const time = from + (place / (width - SIZE.left - SIZE.right)) * (to - from);
    return Math.min(count - 1, Math.max(0, Math.floor((time - first) / 1000 / bucket)));
  };
  const zoom = (a: number, b: number) => {
    setBegin(undefined);
    setCursor(undefined);
    go(bounds({ from: at(Math.min(a, b)), to: at(Math.max(a, b) + 1) }));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const now = cursor ?? count - 1;
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -count, End: count }[event.key];
    if (step !== undefined) {
      setBegin(event.shiftKey ? (begin ?? now) : undefined);
      setCursor(Math.min(count - 1, Math.max(0, now + step)));
    } else if (event.key === "Enter" && cursor !== undefined) zoom(begin ?? cursor, cursor);
    else if (event.key === "Escape" && (cursor !== undefined || begin !== undefined)) {
      setCursor(undefined);
      setBegin(undefined);
    } else return;
    event.preventDefault();
  };
  const bar = cursor === undefined ? undefined : bars.find((one) => one.at === at(cursor));
  const says = cursor === undefined ? "" : told(at(cursor), bucket, bar, lostWithin(lost, at(cursor), at(cursor + 1)));
  const chosen: Span | undefined = begin === undefined || cursor === undefined ? undefined : { from: at(Math.min(begin, cursor)), to: at(Math.max(begin, cursor) + 1) };
  return (
    <section class="timeline" aria-label="Time line">
      <div
        ref={box}
        class="plot"
        role="slider"
        tabIndex={0}
        data-keys="own"
        aria-label="Time: arrows look, Shift and arrows choose, Enter shows what was chosen"
        aria-valuemin={0}
        aria-valuemax={count - 1}
        aria-valuenow={cursor ?? count - 1}
        aria-valuetext={says || `${clock(from * 1e6)} to ${clock(to * 1e6)}`}
        onKeyDown={onKeyDown}
        onBlur={() => setCursor(undefined)}
        onPointerDown={(event) => {
          if (event.button) return;
          box.current!.setPointerCapture(event.pointerId);
          pressed.current = event.clientX;
          setBegin(indexOf(event));
          setCursor(indexOf(event));
        }}
        onPointerMove={(event) => setCursor(indexOf(event))}
        onPointerLeave={() => pressed.current === undefined && setCursor(undefined)}
        onPointerCancel={() => {
          pressed.current = undefined;
          setBegin(undefined);
        }}
        onPointerUp={(event) => {
          const from = pressed.current;
          pressed.current = undefined;
          if (from === undefined || begin === undefined) return;
          const now = indexOf(event);
          if (Math.abs(event.clientX - from) >= DRAGGED) zoom(begin, now);
          else zoom(now, now);
        }}
      >
        {width > 0 && <Plot width={width} window={window} bars={bars} lost={lost} chosen={chosen} cursor={cursor === undefined ? undefined : at(cursor)} />}
        {says && (
          <p class="tip" ref={(element) => element?.style.setProperty("--x", `${SIZE.left + ((at(cursor!) - from) / (to - from)) * (width - SIZE.left - SIZE.right)}px`)}>
            {says}
          </p>
        )}
        {bars.length === 0 && <p class="nothing quiet">{failed ? "The time line cannot be read now" : "Nothing in this time"}</p>}
      </div>
      {(place.since || place.until) && (
        <button class="plain out" onClick={() => go(bounds(wider(window, Date.now())))} title="Three times as much time">
          − wider
        </button>
      )}
    </section>
  );
}

function useWidth(box: { current: HTMLElement | null }): number {
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const element = box.current!;
    const watch = new ResizeObserver(() => setWidth(element.clientWidth));
    watch.observe(element);
    return () => watch.disconnect();
  }, []);
  return width;
}

/** A bar in words, for the pointer and for who cannot see it. */
export function told(at: number, bucket: number, bar: Bar | undefined, lost: string): string {
  const parts = [`${clock(at * 1e6).slice(0, 8)}, ${bucket} s`];
  if (!bar || !bar.rate) parts.push("nothing");
  else {
    parts.push(`${perSecond(bar.rate)}`);
    parts.push(bar.errors ? `✕ ${perSecond(bar.errors)} failed (${((bar.errors / bar.rate) * 100).toFixed(bar.errors / bar.rate < 0.1 ? 1 : 0)} %)` : "none failed");
    if (bar.p99) parts.push(`p50 ${duration(bar.p50)}, p95 ${duration(bar.p95)}, p99 ${duration(bar.p99)}`);
    if (bar.share < 0.999) parts.push(`${(bar.share * 100).toFixed(bar.share < 0.1 ? 1 : 0)} % of it decoded, the rest estimated`);
  }
  if (lost) parts.push(`▼ ${lost}`);
  return parts.join(" · ");
}
