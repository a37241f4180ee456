/**
 * Where the map's boxes stand: callers left of whom they call, in columns. What stands already stays where it is, so that
 * the map is calm while it is live; the same calls give the same map. Pure.
 */

import { BOX } from "./geometry";
import { giveWay } from "./giveway";
import type { Call, Place, Places } from "./types";

const ROW = BOX.height + 14;
const TALLEST_ROW = BOX.height + 70;
/** Between callers and called, and between the columns of those that are called from the same distance. */
const GAP = 110;
const NARROW = 70;
/** Of a map, wide to high: what screens are. */
const ASPECT = 1.8;
const SWEEPS = 8;

/** Places of all nodes; `before` are those of the map that is seen now. */
export function arranged(nodes: readonly string[], calls: readonly Call[], before: Places = new Map()): Places {
  const sorted = [...nodes].sort();
  const known = sorted.filter((id) => before.has(id));
  if (known.length * 2 < sorted.length) return afresh(sorted, calls);
  const places = new Map(known.map((id) => [id, before.get(id)!]));
  addAll(sorted.filter((id) => !before.has(id)), calls, places);
  return places;
}

type Links = Map<string, string[]>;

function links(nodes: readonly string[], calls: readonly Call[]): { to: Links; from: Links } {
  const to: Links = new Map(nodes.map((id) => [id, []]));
  const from: Links = new Map(nodes.map((id) => [id, []]));
  for (const [src, dst] of calls) {
    if (src === dst || !to.has(src) || !from.has(dst)) continue;
    to.get(src)!.push(dst);
    from.get(dst)!.push(src);
  }
  return { to, from };
}

function afresh(nodes: readonly string[], calls: readonly Call[]): Places {
  const { to, from } = links(nodes, calls);
  const layers = layered(nodes, to, from);
  order(layers, to, from);
  const tallest = Math.max(6, Math.ceil(Math.sqrt((nodes.length * (BOX.width + GAP)) / ROW / ASPECT)));
  const columns = layers.flatMap((layer) => split(layer, tallest));
  const wide = columns.reduce((sum, { gap }) => sum + BOX.width + gap, 0);
  const row = Math.min(Math.max(wide / ASPECT / Math.max(...columns.map(({ members }) => members.length)), ROW), TALLEST_ROW);
  const places = new Map<string, Place>();
  let x = 0;
  for (const { members, gap, shift } of columns) {
    members.forEach((id, at) => places.set(id, { x, y: Math.round((at - (members.length - 1) / 2 + shift) * row) }));
    x += BOX.width + gap;
  }
  settle(places, to, from, row);
  giveWay(places, calls, ROW);
  return places;
}

/** A layer that is too tall as several columns, each a little lower than the one before. */
function split(layer: readonly string[], tallest: number) {
  const count = Math.ceil(layer.length / tallest);
  return Array.from({ length: count }, (_, column) => ({
    members: layer.filter((_, at) => at % count === column),
    gap: column < count - 1 ? NARROW : GAP,
    shift: count > 1 ? (column % 2) / 2 : 0,
  }));
}

/**
 * By how many calls away from those whom nobody calls: each node right of all its callers where that stays short, else
 * right of the nearest of them. Circles are cut where they close.
 */
function layered(nodes: readonly string[], to: Links, from: Links): string[][] {
  const begin = [...nodes].sort((a, b) => from.get(a)!.length - to.get(a)!.length - (from.get(b)!.length - to.get(b)!.length) || (a < b ? -1 : 1));
  const downstream = upstreamFirst(begin, to);
  const most = Math.max(5, Math.ceil(1.5 * Math.sqrt((nodes.length * ASPECT * ROW) / (BOX.width + GAP))) + 1);
  const far = depths(downstream, from, Math.max);
  const depth = Math.max(...far.values()) < most ? far : depths(downstream, from, Math.min);
  // Whom nobody calls stands beside the nearest of those it calls.
  for (const id of nodes) {
    if (!from.get(id)!.length && to.get(id)!.length) depth.set(id, Math.max(Math.min(...to.get(id)!.map((called) => depth.get(called)!)) - 1, 0));
  }
  const layers: string[][] = [];
  for (const id of nodes) (layers[depth.get(id)!] ??= []).push(id);
  return layers.filter(Boolean);
}

function depths(downstream: readonly string[], from: Links, choose: (...values: number[]) => number): Map<string, number> {
  const depth = new Map<string, number>();
  for (const id of downstream) {
    const callers = from.get(id)!.filter((caller) => depth.has(caller)).map((caller) => depth.get(caller)!);
    depth.set(id, callers.length ? choose(...callers) + 1 : 0);
  }
  return depth;
}

/** Topological as far as there are no circles: the reverse of the order in which a depth-first walk leaves the nodes. */
function upstreamFirst(begin: readonly string[], to: Links): string[] {
  const left: string[] = [];
  const seen = new Set<string>();
  for (const root of begin) {
    if (seen.has(root)) continue;
    seen.add(root);
    const path = [{ id: root, next: 0 }];
    while (path.length) {
      const top = path.at(-1)!;
      const called = to.get(top.id)![top.next++];
      if (called === undefined) left.push(path.pop()!.id);
      else if (!seen.has(called)) {
        seen.add(called);
        path.push({ id: called, next: 0 });
      }
    }
  }
  return left.reverse();
}

/** Fewer crossings: each node at the mean height of those that it is linked with, from both sides in turn. */
function order(layers: string[][], to: Links, from: Links): void {
  const height = new Map<string, number>();
  const note = (layer: string[]) => layer.forEach((id, at) => height.set(id, (at + 0.5) / layer.length));
  layers.forEach(note);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const forth = sweep % 2 === 0;
    for (const layer of forth ? layers : [...layers].reverse()) {
      const wanted = new Map(layer.map((id) => [id, mean((forth ? from : to).get(id)!, height) ?? height.get(id)!]));
      layer.sort((a, b) => wanted.get(a)! - wanted.get(b)! || (a < b ? -1 : 1));
      note(layer);
    }
  }
}

function mean(ids: readonly string[], height: ReadonlyMap<string, number>): number | undefined {
  const known = ids.map((id) => height.get(id)).filter((one) => one !== undefined);
  return known.length ? known.reduce((sum, one) => sum + one, 0) / known.length : undefined;
}

/** Moves nodes towards those they are linked with, as far as their neighbours in the column leave room. */
function settle(places: Map<string, Place>, to: Links, from: Links, row: number): void {
  const columns = [...columnsOf(places).values()];
  for (const column of columns) column.sort((a, b) => places.get(a)!.y - places.get(b)!.y);
  for (let round = 0; round < SWEEPS; round += 1) {
    for (const column of columns) {
      column.forEach((id, at) => {
        const linked = [...to.get(id)!, ...from.get(id)!].map((other) => places.get(other)!.y);
        if (!linked.length) return;
        const wanted = linked.reduce((sum, y) => sum + y, 0) / linked.length;
        const lowest = at ? places.get(column[at - 1]!)!.y + row : -Infinity;
        const highest = at < column.length - 1 ? places.get(column[at + 1]!)!.y - row : Infinity;
        const { x, y } = places.get(id)!;
        places.set(id, { x, y: Math.round(Math.min(Math.max((wanted + y) / 2, lowest), Math.max(highest, lowest))) });
      });
    }
  }
}

function columnsOf(places: Places): Map<number, string[]> {
  const columns = new Map<number, string[]>();
  for (const [id, { x }] of places) columns.set(x, [...(columns.get(x) ?? []), id]);
  return columns;
}

/** New nodes beside those they are linked with, in the nearest free place of their column. */
function addAll(fresh: string[], calls: readonly Call[], places: Map<string, Place>): void {
  const { to, from } = links([...places.keys(), ...fresh], calls);
  const waiting = new Set(fresh);
  while (waiting.size) {
    const placed = (ids: readonly string[]) => ids.filter((id) => places.has(id));
    const linked = (id: string) => placed(to.get(id)!).length + placed(from.get(id)!).length;
    const next = [...waiting].sort((a, b) => linked(b) - linked(a) || (a < b ? -1 : 1))[0]!;
    waiting.delete(next);
    places.set(next, beside(placed(from.get(next)!), placed(to.get(next)!), places));
  }
}

function beside(callers: readonly string[], called: readonly string[], places: Places): Place {
  const xs = [...new Set([...places.values()].map(({ x }) => x))].sort((a, b) => a - b);
  const at = (ids: readonly string[]) => ids.map((id) => places.get(id)!);
  const heights = [...at(callers), ...at(called)].map(({ y }) => y);
  const y = heights.length ? heights.reduce((sum, one) => sum + one, 0) / heights.length : 0;
  let x = xs[0] ?? 0;
  if (callers.length) {
    const last = Math.max(...at(callers).map((place) => place.x));
    x = xs.find((one) => one > last) ?? last + BOX.width + GAP;
  } else if (called.length) {
    const first = Math.min(...at(called).map((place) => place.x));
    x = xs.findLast((one) => one < first) ?? first - BOX.width - GAP;
  }
  const taken = [...places.values()].filter((place) => place.x === x).map((place) => place.y);
  for (let step = 0; ; step += 1) {
    for (const sign of step ? [1, -1] : [1]) {
      const candidate = Math.round(y + sign * step * (ROW / 2));
      if (taken.every((other) => Math.abs(other - candidate) >= ROW)) return { x, y: candidate };
    }
  }
}

/** What all boxes cover together. */
export function extent(places: Places): { x: number; y: number; width: number; height: number } {
  if (!places.size) return { x: 0, y: 0, ...BOX };
  const xs = [...places.values()].map(({ x }) => x);
  const ys = [...places.values()].map(({ y }) => y);
  const [x, y] = [Math.min(...xs), Math.min(...ys)];
  return { x, y, width: Math.max(...xs) - x + BOX.width, height: Math.max(...ys) - y + BOX.height };
}

/** The nearest box in a direction from another one; undefined where there is none. */
export function towards(from: string, places: Places, dx: number, dy: number): string | undefined {
  const here = places.get(from);
  let [best, least] = [undefined as string | undefined, Infinity];
  for (const [id, { x, y }] of places) {
    if (!here || id === from) continue;
    const along = (x - here.x) * dx + (y - here.y) * dy;
    const across = Math.abs((x - here.x) * dy + (y - here.y) * dx);
    if (along > 1 && along + across * 2 < least) [best, least] = [id, along + across * 2];
  }
  return best;
}
