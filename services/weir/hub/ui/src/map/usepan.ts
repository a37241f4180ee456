import type { RefObject } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { type Box, fitted, inSight, revealing, type Sight, zoomed } from "./pan";

/** A shorter way than this is a click with a trembling hand. */
const STEADY = 4;

export interface Pan {
  fit(): void;
  zoom(by: number): void;
  reveal(box: Box): void;
  /** Whether the last press moved the map, so that it was no click. */
  moved(): boolean;
}

/** Lets one move and zoom `inner` within `outer` by mouse, wheel, fingers; nothing is drawn anew for it. */
export function usePan(outer: RefObject<SVGSVGElement | null>, inner: RefObject<SVGGElement | null>, box: Box): Pan {
  const held = useRef<Held>(null);
  held.current ??= new Held();
  const it = held.current;
  it.box = box;
  useLayoutEffect(() => it.attach(outer.current!, inner.current!), []);
  // What grows while one looks at all of it stays in sight as a whole; who has chosen a place stays there.
  useLayoutEffect(() => it.follow(), [box.x, box.y, box.width, box.height]);
  return it;
}

class Held implements Pan {
  box: Box = { x: 0, y: 0, width: 1, height: 1 };
  private sight: Sight = { x: 0, y: 0, scale: 1 };
  private outer!: SVGSVGElement;
  private inner!: SVGGElement;
  private readonly fingers = new Map<number, { x: number; y: number }>();
  private way = 0;
  private chosen = false;

  attach(outer: SVGSVGElement, inner: SVGGElement): () => void {
    [this.outer, this.inner] = [outer, inner];
    const stop = new AbortController();
    const { signal } = stop;
    outer.addEventListener("wheel", (event) => this.wheel(event), { passive: false, signal });
    outer.addEventListener("pointerdown", (event) => this.down(event), { signal });
    outer.addEventListener("pointermove", (event) => this.move(event), { signal });
    for (const end of ["pointerup", "pointercancel"] as const) outer.addEventListener(end, (event) => this.fingers.delete(event.pointerId), { signal });
    const watch = new ResizeObserver(() => this.follow());
    watch.observe(outer);
    this.fit();
    return () => {
      stop.abort();
      watch.disconnect();
    };
  }

  fit(): void {
    this.chosen = false;
    this.look(fitted(this.box, this.window()));
  }

  follow(): void {
    if (!this.outer || this.chosen) return;
    if (!inSight(this.sight, this.box, this.window())) this.fit();
  }

  zoom(by: number): void {
    const { width, height } = this.window();
    this.choose(zoomed(this.sight, by, { x: width / 2, y: height / 2 }));
  }

  reveal(box: Box): void {
    this.look(revealing(this.sight, box, this.window()));
  }

  moved(): boolean {
    return this.way > STEADY;
  }

  private window() {
    return { width: this.outer.clientWidth || 1, height: this.outer.clientHeight || 1 };
  }

  private look(sight: Sight): void {
    this.sight = sight;
    this.inner.setAttribute("transform", `translate(${sight.x} ${sight.y}) scale(${sight.scale})`);
  }

  private choose(sight: Sight): void {
    this.chosen = true;
    this.look(sight);
  }

  private at(event: MouseEvent) {
    const { left, top } = this.outer.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  }

  private wheel(event: WheelEvent): void {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 20 : 1;
    this.choose(zoomed(this.sight, Math.exp(-event.deltaY * lines * 0.0015), this.at(event)));
  }

  private down(event: PointerEvent): void {
    if (event.button) return;
    if (!this.fingers.size) this.way = 0;
    this.fingers.set(event.pointerId, this.at(event));
  }

  private move(event: PointerEvent): void {
    const before = this.fingers.get(event.pointerId);
    if (!before) return;
    const now = this.at(event);
    this.way += Math.hypot(now.x - before.x, now.y - before.y);
    const other = [...this.fingers].find(([id]) => id !== event.pointerId)?.[1];
    this.fingers.set(event.pointerId, now);
    if (!this.moved()) return;
    // A click must still reach what is under it: the pointer is held only once it moves.
    if (!this.outer.hasPointerCapture(event.pointerId)) this.outer.setPointerCapture(event.pointerId);
    if (!other) {
      this.choose({ ...this.sight, x: this.sight.x + now.x - before.x, y: this.sight.y + now.y - before.y });
      return;
    }
    const apart = (one: { x: number; y: number }) => Math.max(Math.hypot(one.x - other.x, one.y - other.y), 1);
    this.choose(zoomed(this.sight, apart(now) / apart(before), { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 }));
  }
}
