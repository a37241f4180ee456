import { Virtualizer, elementScroll, observeElementOffset, observeElementRect } from "@tanstack/virtual-core";
import { useLayoutEffect, useReducer, useRef } from "preact/hooks";
import type { Feed } from "./feed";
import { clock, duration, host, inert, iso, outcome, size, total, where } from "./format";
import type { Entry } from "./types";

const ROW = 28;
/** Rows before the end at which older entries are asked for. */
const NEAR = 20;
const COLUMNS = ["Time", "Source", "Target", "Protocol", "Outcome", "Summary", "Latency", "Size"];

interface Props {
  feed: Feed;
  /** Changes whenever the feed did. */
  change: number;
  selected: string | undefined;
  onSelect: (id: string) => void;
}

export function List({ feed, change, selected, onSelect }: Props) {
  const { ring } = feed;
  const scroller = useRef<HTMLDivElement>(null);
  const [, redraw] = useReducer<number, void>((n) => n + 1, 0);
  const virtual = useRef<Virtualizer<HTMLDivElement, HTMLDivElement>>(null);
  const options = {
    count: ring.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    overscan: 12,
    observeElementRect,
    observeElementOffset,
    scrollToFn: elementScroll,
    onChange: () => redraw(),
  };
  virtual.current ??= new Virtualizer(options);
  virtual.current.setOptions(options);

  useLayoutEffect(() => virtual.current?._didMount(), []);
  useLayoutEffect(() => virtual.current?._willUpdate(), [change]);
  usePlace(feed, change, scroller.current);
  useLayoutEffect(() => {
    const age = selected ? ring.ageOf(selected) : -1;
    if (age >= 0) virtual.current?.scrollToIndex(age, { align: "auto" });
  }, [selected]);

  const items = virtual.current.getVirtualItems();
  const last = items.at(-1);
  useLayoutEffect(() => {
    if (last && last.index >= ring.length - NEAR) void feed.older();
  });
  return (
    <div class="list" role="table" aria-label="Entries, newest first" aria-rowcount={ring.length}>
      <div class="row head" role="row">
        {COLUMNS.map((name) => (
          <span role="columnheader" aria-label={name}>
            {name === "Outcome" ? "" : name}
          </span>
        ))}
      </div>
      <div class="rows" ref={scroller} role="rowgroup" tabIndex={-1}>
        <div class="sizer" style={{ height: `${virtual.current.getTotalSize() + ROW}px` }}>
          {items.map((item) => {
            const entry = ring.at(item.index);
            return entry && <Row key={entry.id} entry={entry} at={item.index} selected={entry.id === selected} onSelect={onSelect} />;
          })}
          <p class="end quiet">{feed.complete ? "the beginning of what is kept" : ring.full ? "a page holds no more; filter to see older ones" : "…"}</p>
        </div>
      </div>
    </div>
  );
}

/** Who scrolled down keeps seeing the same rows, whatever comes above; who is at the top sees the newest. */
function usePlace({ ring }: Feed, change: number, element: HTMLDivElement | null): void {
  const place = useRef({ id: "", offset: 0, top: 0 });
  useLayoutEffect(() => {
    if (!element) return;
    const remember = () => {
      const top = element.scrollTop;
      const age = Math.floor(top / ROW);
      place.current = { id: ring.at(age)?.id ?? "", offset: top - age * ROW, top };
    };
    element.addEventListener("scroll", remember);
    return () => element.removeEventListener("scroll", remember);
  }, [element]);
  useLayoutEffect(() => {
    const { id, offset, top } = place.current;
    const age = top > 0 ? ring.ageOf(id) : -1;
    if (element && age >= 0) element.scrollTop = age * ROW + offset;
  }, [change]);
}

function Row(props: { entry: Entry; at: number; selected: boolean; onSelect: (id: string) => void }) {
  const { entry, at, selected, onSelect } = props;
  const { mark, name } = outcome(entry);
  return (
    <div
      class={`row ${name}${selected ? " selected" : ""}`}
      role="row"
      aria-rowindex={at + 1}
      aria-selected={selected}
      style={{ transform: `translateY(${at * ROW}px)` }}
      onClick={() => onSelect(entry.id)}
    >
      <span role="cell" class="time" title={iso(entry.timestamp)}>
        {clock(entry.timestamp)}
      </span>
      <span role="cell" class="peer" title={inert(where(entry.src))}>
        {inert(host(entry.src))}
      </span>
      <span role="cell" class="peer" title={inert(where(entry.dst))}>
        {inert(where(entry.dst))}
      </span>
      <span role="cell" class="protocol">
        {inert(entry.protocol)}
      </span>
      <span role="cell" class="mark" title={name} aria-label={name}>
        {mark}
      </span>
      <span role="cell" class="summary" title={inert(entry.summary ?? "")}>
        {inert(entry.summary ?? "")}
      </span>
      <span role="cell" class="number">
        {duration(entry.elapsed_time)}
      </span>
      <span role="cell" class="number">
        {size(total(entry))}
      </span>
    </div>
  );
}
