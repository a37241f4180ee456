import { Virtualizer, elementScroll, observeElementOffset, observeElementRect } from "@tanstack/virtual-core";
import { useLayoutEffect, useReducer, useRef, useState } from "preact/hooks";
import { type Column, cell, said } from "./columns";
import type { Feed } from "./feed";
import { clock, day, duration, host, inert, iso, outcome, size, total, where } from "./format";
import type { Order } from "./place";
import type { Entry } from "./types";

/** A row's height in pixels: in one line, and in two where the list is narrow. */
const ROW = 28;
const TALL = 48;
const NARROW = 620;
/** Rows before the end at which more are asked for. */
const NEAR = 20;

const LABEL: Record<Order, string> = {
  newest: "Entries, newest first", oldest: "Entries, oldest first", slowest: "Entries, slowest first", failed: "Entries, failed ones first",
};

interface Props {
  feed: Feed;
  /** Changes whenever the feed did. */
  change: number;
  /** Those of the one protocol that is listed. */
  columns: Column[];
  selected: string | undefined;
  onSelect: (id: string) => void;
}

export function List({ feed, change, columns, selected, onSelect }: Props) {
  const { ring } = feed;
  const scroller = useRef<HTMLDivElement>(null);
  const [, redraw] = useReducer<number, void>((n) => n + 1, 0);
  const [narrow, setNarrow] = useState(false);
  const row = narrow ? TALL : ROW;
  const virtual = useRef<Virtualizer<HTMLDivElement, HTMLDivElement>>(null);
  const options = {
    count: ring.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => row,
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
  useLayoutEffect(() => virtual.current?.measure(), [row]);
  useLayoutEffect(() => {
    const element = scroller.current!;
    const watch = new ResizeObserver(() => {
      setNarrow(element.clientWidth < NARROW);
      element.parentElement!.style.setProperty("--scrollbar", `${element.offsetWidth - element.clientWidth}px`);
    });
    watch.observe(element);
    return () => watch.disconnect();
  }, []);
  const above = useStaying(feed, change, scroller.current, row);
  // Whoever opens an address with an entry sees where it stands once it has come.
  const listed = selected !== undefined && ring.get(selected) !== undefined;
  useLayoutEffect(() => {
    const age = selected ? ring.ageOf(selected) : -1;
    if (age >= 0) virtual.current?.scrollToIndex(age, { align: "auto" });
  }, [selected, listed]);

  const items = virtual.current.getVirtualItems();
  const last = items.at(-1);
  useLayoutEffect(() => {
    if (last && last.index >= ring.length - NEAR) void feed.older();
  });
  const drawn = selected !== undefined && items.some((item) => ring.at(item.index)?.id === selected);
  return (
    <div class={`list${narrow ? " narrow" : ""}`} ref={(element) => element?.style.setProperty("--parts", widths(columns))}>
      <div class="grid" role="grid" aria-label={LABEL[feed.asked.order]} aria-rowcount={ring.length + 1} aria-activedescendant={drawn ? rowId(selected) : undefined} tabIndex={0}>
        <Head columns={columns} />
        <div class="rows" ref={scroller} role="rowgroup" tabIndex={-1}>
          <div class="sizer" style={{ height: `${virtual.current.getTotalSize() + ROW}px` }}>
            {items.map((item) => {
              const entry = ring.at(item.index);
              return (
                entry && (
                  <Row key={entry.id} entry={entry} at={item.index} top={item.index * row} columns={columns} selected={entry.id === selected} onSelect={onSelect} />
                )
              );
            })}
            <p class="end quiet">{end(feed)}</p>
          </div>
        </div>
      </div>
      {above > 0 && (
        <button class="newer" onClick={() => scroller.current?.scrollTo({ top: 0 })}>
          ↑ {above.toLocaleString()} {feed.asked.order === "newest" ? "newer" : "above"}
        </button>
      )}
    </div>
  );
}

function end(feed: Feed): string {
  if (feed.ring.full) return "a page holds no more: narrow the time or the filter to see others";
  if (!feed.complete) return "…";
  return feed.asked.order === "newest" ? (feed.asked.since ? "the beginning of this time" : "the beginning of what is kept") : "there is no more";
}

/** Grid columns between protocol and latency. */
const widths = (columns: Column[]) =>
  columns.length ? columns.map(({ share }) => (share > 1 ? `minmax(110px, ${share}fr)` : "minmax(56px, 0.6fr)")).join(" ") : "54px minmax(110px, 3fr) minmax(44px, 0.5fr)";

const rowId = (id: string | undefined) => `row-${id}`;

function Head({ columns }: { columns: Column[] }) {
  const parts = columns.length ? columns.map(({ title }) => title) : ["Method", "Path or summary", "Status"];
  return (
    <div class="row head" role="row" aria-rowindex={1}>
      <span role="columnheader" class="time">
        Time
      </span>
      <span role="columnheader" class="mark" aria-label="Outcome" />
      <span class="who" role="presentation">
        <span role="columnheader">Source</span>
        <span role="columnheader">Target</span>
      </span>
      <span role="columnheader" class="protocol">
        Protocol
      </span>
      <span class="summary" role="presentation">
        {parts.map((title) => (
          <span role="columnheader" key={title}>
            {title}
          </span>
        ))}
      </span>
      <span role="columnheader" class="number latency">
        Latency
      </span>
      <span role="columnheader" class="number size">
        Size
      </span>
    </div>
  );
}

/**
 * Who scrolled down keeps seeing the same rows, whatever comes above, and so does who points at one: it is not to move
 * away before it is clicked. Who is at the top sees the newest. Tells how many rows came above meanwhile.
 */
function useStaying({ ring, round }: Feed, change: number, element: HTMLDivElement | null, row: number): number {
  const place = useRef({ id: "", offset: 0, top: 0, age: 0 });
  const [above, setAbove] = useState(0);
  const now = useRef({ ring, row });
  const held = useRef(false);
  now.current = { ring, row };
  useLayoutEffect(() => {
    if (!element) return;
    const remember = () => {
      const { ring, row } = now.current;
      const top = element.scrollTop;
      const at = Math.floor(top / row);
      place.current = { id: ring.at(at)?.id ?? "", offset: top - at * row, top, age: at };
      if (top <= row) setAbove(0);
    };
    const onEnter = ({ pointerType }: PointerEvent) => {
      if (pointerType !== "mouse" || element.scrollTop > 0) return;
      held.current = true;
      remember();
    };
    const onLeave = () => {
      if (held.current) element.scrollTop = 0;
      held.current = false;
    };
    const onWheel = () => {
      held.current = false;
    };
    const gone = new AbortController();
    const options = { passive: true, signal: gone.signal };
    element.addEventListener("scroll", remember, options);
    element.addEventListener("pointerenter", onEnter, options);
    element.addEventListener("pointerleave", onLeave, options);
    element.addEventListener("wheel", onWheel, options);
    return () => gone.abort();
  }, [element]);
  useLayoutEffect(() => {
    const { id, offset, top, age } = place.current;
    const at = top > 0 || held.current ? ring.ageOf(id) : -1;
    if (!element || at < 0) return;
    if (at > age) setAbove((had) => had + at - age);
    place.current.age = at;
    element.scrollTop = at * row + offset;
  }, [change]);
  // Another wish is another list: it is read from its top.
  useLayoutEffect(() => {
    place.current = { id: "", offset: 0, top: 0, age: 0 };
    setAbove(0);
    if (element) element.scrollTop = 0;
  }, [round]);
  return above;
}

interface RowProps {
  entry: Entry;
  at: number;
  top: number;
  columns: Column[];
  selected: boolean;
  onSelect: (id: string) => void;
}

function Row({ entry, at, top, columns, selected, onSelect }: RowProps) {
  const { mark, name } = outcome(entry);
  const line = inert(entry.summary ?? "");
  return (
    <div
      id={rowId(entry.id)}
      class={`row ${name}${selected ? " selected" : ""}`}
      role="row"
      aria-rowindex={at + 2}
      aria-selected={selected}
      style={{ transform: `translateY(${top}px)` }}
      onClick={() => onSelect(entry.id)}
    >
      <span role="gridcell" class="time" title={`${iso(entry.timestamp)}`}>
        {day(entry.timestamp)}
        {clock(entry.timestamp)}
      </span>
      <span role="gridcell" class="mark" title={name} aria-label={name}>
        {mark}
      </span>
      <span class="who" role="presentation">
        <span role="gridcell" class="peer source" title={inert(where(entry.src))}>
          {inert(host(entry.src))}
        </span>
        <span role="gridcell" class="peer target" title={inert(where(entry.dst))}>
          {inert(where(entry.dst))}
        </span>
      </span>
      <span role="gridcell" class="protocol">
        {inert(entry.protocol)}
      </span>
      <span class="summary" role="presentation" title={line}>
        {columns.length ? columns.map((one) => <Cell key={one.name} column={one} text={inert(cell(entry, one.name))} />) : <Line entry={entry} line={line} />}
      </span>
      <span role="gridcell" class="number latency">
        {duration(entry.elapsed_time)}
      </span>
      <span role="gridcell" class="number size">
        {size(total(entry))}
      </span>
    </div>
  );
}

function Line({ entry, line }: { entry: Entry; line: string }) {
  const parts = said(entry);
  if (!parts)
    return (
      <span role="gridcell" class="whole">
        {line}
      </span>
    );
  const { method, path, status } = parts;
  return (
    <>
      <span role="gridcell" class="method">
        {inert(method)}{" "}
      </span>
      <span role="gridcell" class="path">
        {inert(path)}
      </span>
      <span role="gridcell" class="status">
        {status && <i class="arrow"> → </i>}
        {inert(status)}
      </span>
    </>
  );
}

const Cell = ({ column: { name, share }, text }: { column: Column; text: string }) => (
  <span role="gridcell" class={/status|code/.test(name) ? "status" : share > 1 ? "path" : ""} title={text}>
    {text}
  </span>
);
