import { Virtualizer, elementScroll, observeElementOffset, observeElementRect } from "@tanstack/virtual-core";
import { useLayoutEffect, useReducer, useRef } from "preact/hooks";
import { clock, duration, host, inert, iso, outcome, size, total, where } from "./format";
import type { Ring } from "./ring";
import type { Entry } from "./types";

const ROW = 28;

interface Props {
  ring: Ring;
  /** Changes whenever the ring did. */
  change: number;
  /** Rows added at the top by the last change: a reader who scrolled down keeps seeing the same rows. */
  added: number;
  selected: string | undefined;
  onSelect: (id: string) => void;
}

export function List({ ring, change, added, selected, onSelect }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  const virtual = useRef<Virtualizer<HTMLDivElement, HTMLDivElement>>(null);
  const options = {
    count: ring.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    overscan: 12,
    observeElementRect,
    observeElementOffset,
    scrollToFn: elementScroll,
    onChange: () => redraw(undefined as never),
  };
  virtual.current ??= new Virtualizer(options);
  virtual.current.setOptions(options);

  useLayoutEffect(() => virtual.current?._didMount(), []);
  useLayoutEffect(() => {
    virtual.current?._willUpdate();
    const element = scroller.current;
    if (element && added && element.scrollTop > 0) element.scrollTop += added * ROW;
  }, [change]);
  useLayoutEffect(() => {
    const age = selected ? ring.ageOf(selected) : -1;
    if (age >= 0) virtual.current?.scrollToIndex(age, { align: "auto" });
  }, [selected]);

  return (
    <div class="list" role="table" aria-label="Entries, newest first" aria-rowcount={ring.length}>
      <div class="row head" role="row">
        {["Time", "Source", "Target", "Protocol", "", "Summary", "Latency", "Size"].map((name) => (
          <span role="columnheader">{name}</span>
        ))}
      </div>
      <div class="rows" ref={scroller} role="rowgroup" tabIndex={-1}>
        <div class="sizer" style={{ height: `${virtual.current.getTotalSize()}px` }}>
          {virtual.current.getVirtualItems().map((item) => {
            const entry = ring.at(item.index);
            return entry && <Row key={entry.id} entry={entry} top={item.start} selected={entry.id === selected} onSelect={onSelect} />;
          })}
        </div>
      </div>
    </div>
  );
}

function Row(props: { entry: Entry; top: number; selected: boolean; onSelect: (id: string) => void }) {
  const { entry, top, selected, onSelect } = props;
  const { mark, name } = outcome(entry);
  return (
    <div
      class={`row ${name}${selected ? " selected" : ""}`}
      role="row"
      aria-selected={selected}
      style={{ transform: `translateY(${top}px)` }}
      onClick={() => onSelect(entry.id)}
    >
      <span role="cell" class="time" title={iso(entry.timestamp)}>
        {clock(entry.timestamp)}
      </span>
      <span role="cell" class="peer" title={where(entry.src)}>
        {inert(host(entry.src))}
      </span>
      <span role="cell" class="peer" title={where(entry.dst)}>
        {inert(where(entry.dst))}
      </span>
      <span role="cell" class="protocol">
        {inert(entry.protocol)}
      </span>
      <span role="cell" class="mark" title={name}>
        {mark}
      </span>
      <span role="cell" class="summary">
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
