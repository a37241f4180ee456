/** The lines of the map: where they run, how thick and in which state they are, what is written on them. Pure. */
import { duration } from "../format";
import { BOX, type Places } from "./layout";
import type { MapEdge, MapNode } from "./types";

export const LABELS = ["none", "calls", "p50", "p95", "p99"] as const;
export type Label = (typeof LABELS)[number];
/** From this share of failed calls on a line is drawn as failing; below it as touched. */
const BAD = 0.05;
/** Pixels at a box's side within which lines begin and end. */
const PORTS = BOX.height - 14;

export interface Line {
  edge: MapEdge;
  id: string;
  path: string;
  middle: { x: number; y: number };
  width: number;
  state: State;
}
export type State = "fine" | "touched" | "failing";

export const edgeId = ({ src, dst }: MapEdge) => JSON.stringify([src, dst]);

export function state({ count = 0, errors = 0 }: { count?: number; errors?: number }): State {
  if (!errors || !count) return "fine";
  return errors / count >= BAD ? "failing" : "touched";
}

/** 1.2 px for next to nothing, about 8 for a thousand calls a second. */
export const width = (perSecond: number) => Math.min(1.2 + 1.7 * Math.log10(1 + Math.max(perSecond, 0) * 10), 8);

/** Lines between boxes that have a place; opposite ones run beside one another. */
export function lines(edges: readonly MapEdge[], places: Places, seconds: number): Line[] {
  const drawn = edges.filter(({ src, dst }) => places.has(src) && places.has(dst));
  const ports = portsOf(drawn, places);
  return drawn.map((edge) => {
    const id = edgeId(edge);
    const { src, dst } = edge;
    const way = src === dst ? loop(places, src) : curve(places, src, dst, ports.get(`${id} out`) ?? 0, ports.get(`${id} in`) ?? 0);
    return { edge, id, ...way, width: width(edge.count / seconds), state: state(edge) };
  });
}

/** How far from the middle of its box's side each line begins and ends: in the order of where they go. */
function portsOf(edges: readonly MapEdge[], places: Places): Map<string, number> {
  const sides = new Map<string, { key: string; y: number }[]>();
  const add = (side: string, key: string, y: number) => sides.set(side, [...(sides.get(side) ?? []), { key, y }]);
  for (const edge of edges) {
    const { src, dst } = edge;
    if (src === dst) continue;
    const id = edgeId(edge);
    const [from, to] = [places.get(src)!, places.get(dst)!];
    add(`${to.x >= from.x ? "right" : "left"} ${src}`, `${id} out`, to.y);
    add(`${to.x > from.x ? "left" : "right"} ${dst}`, `${id} in`, from.y);
  }
  const found = new Map<string, number>();
  for (const members of sides.values()) {
    members.sort((a, b) => a.y - b.y || (a.key < b.key ? -1 : 1));
    const step = Math.min(PORTS / Math.max(members.length - 1, 1), 7);
    members.forEach(({ key }, at) => found.set(key, Math.round((at - (members.length - 1) / 2) * step * 10) / 10));
  }
  return found;
}

function curve(places: Places, src: string, dst: string, out: number, into: number): Pick<Line, "path" | "middle"> {
  const [from, to] = [places.get(src)!, places.get(dst)!];
  const forth = to.x >= from.x;
  const [x1, y1] = [from.x + (forth ? BOX.width : 0), from.y + BOX.height / 2 + out];
  const [x2, y2] = [to.x + (to.x > from.x ? 0 : BOX.width), to.y + BOX.height / 2 + into];
  const bend = to.x === from.x ? 70 : Math.min(Math.max(Math.abs(x2 - x1) * 0.45, 30), 160);
  const [cx1, cx2] = [x1 + (forth ? bend : -bend), x2 + (to.x > from.x ? -bend : bend)];
  const at = (a: number, b: number, c: number, d: number) => Math.round((a + 3 * b + 3 * c + d) / 8);
  return { path: `M${x1} ${y1}C${cx1} ${y1} ${cx2} ${y2} ${x2} ${y2}`, middle: { x: at(x1, cx1, cx2, x2), y: at(y1, y1, y2, y2) } };
}

function loop(places: Places, id: string): Pick<Line, "path" | "middle"> {
  const { x, y } = places.get(id)!;
  const [a, b] = [x + BOX.width * 0.6, x + BOX.width * 0.85];
  return { path: `M${a} ${y}C${a} ${y - 28} ${b} ${y - 28} ${b} ${y}`, middle: { x: Math.round((a + b) / 2), y: y - 20 } };
}

/** Calls a second in few digits. */
export function rate(count: number, seconds: number): string {
  const perSecond = count / Math.max(seconds, 1e-9);
  if (perSecond >= 10) return `${Math.round(perSecond).toLocaleString("en")}/s`;
  if (perSecond >= 0.1) return `${perSecond.toFixed(1)}/s`;
  return `${(perSecond * 60).toPrecision(1)}/min`;
}

/** The share that failed, with a sign that is read without colour; empty where nothing did. */
export function failing({ count = 0, errors = 0 }: { count?: number; errors?: number }): string {
  if (!errors || !count) return "";
  const share = (errors / count) * 100;
  return `✕ ${share >= 1 ? Math.round(share) : share < 0.1 ? "<0.1" : share.toFixed(1)} %`;
}

/** What stands on a line. */
export function written(edge: MapEdge, label: Label, seconds: number): string {
  const said = label === "calls" ? rate(edge.count, seconds) : label === "none" ? "" : duration(edge[`${label}_us`]);
  return [said === "–" ? "" : said, failing(edge)].filter(Boolean).join(" · ");
}

/** Name for a person; a namespace only where there is one. */
export const named = ({ name, namespace, id }: MapNode) => (namespace ? `${name || id}.${namespace}` : name || id);

/** The middle of a long name says least. */
export const shortened = (name: string, most: number) => (name.length <= most ? name : `${name.slice(0, Math.ceil(most / 2))}…${name.slice(name.length - Math.floor(most / 2) + 1)}`);
