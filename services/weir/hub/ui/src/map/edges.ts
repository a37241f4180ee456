/** The lines of the map: where they run, how thick and in which state they are, what is written on them. Pure. */
import { duration } from "../format";
import { BOX, type Points, along, curve } from "./geometry";
import type { MapEdge, MapNode, Place, Places } from "./types";

export const LABELS = ["none", "calls", "p50", "p95", "p99"] as const;
export type Label = (typeof LABELS)[number];
/** From these shares of failed calls on a line is drawn as touched, and as failing. */
const SOME = 0.01;
const BAD = 0.05;
/** Pixels at a box's side within which lines begin and end. */
const PORTS = BOX.height - 14;

export interface Line {
  edge: MapEdge;
  id: string;
  /** Both ends and what bends the line there, x and y each. */
  points: Points;
  width: number;
  state: State;
}
export type State = "fine" | "touched" | "failing";

export const edgeId = ({ src, dst }: MapEdge) => JSON.stringify([src, dst]);

export function state({ count = 0, errors = 0 }: { count?: number; errors?: number }): State {
  const share = count ? errors / count : 0;
  if (share < SOME) return "fine";
  return share < BAD ? "touched" : "failing";
}

/** 1.2 px for next to nothing, about 8 for a thousand calls a second. */
export const width = (perSecond: number) => Math.min(1.2 + 1.7 * Math.log10(1 + Math.max(perSecond, 0) * 10), 8);

/** Lines between boxes that have a place; opposite ones run beside one another. */
export function lines(edges: readonly MapEdge[], places: Places, seconds: number): Line[] {
  const over = seconds || Math.max(...edges.map(({ count }) => count), 1) / 100;
  const drawn = edges.filter(({ src, dst }) => places.has(src) && places.has(dst));
  const ports = portsOf(drawn, places);
  return drawn.map((edge) => {
    const id = edgeId(edge);
    const { src, dst } = edge;
    const points = src === dst ? loop(places, src) : curve(places.get(src)!, places.get(dst)!, ports.get(`${id} out`), ports.get(`${id} in`));
    return { edge, id, points, width: width(edge.count / over), state: state(edge) };
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

function loop(places: Places, id: string): Points {
  const { x, y } = places.get(id)!;
  const [a, b] = [x + BOX.width * 0.6, x + BOX.width * 0.85];
  return [a, y, a, y - 28, b, y - 28, b, y];
}

/** The line as a path of SVG. */
export const path = ({ points: [x1, y1, ax, ay, bx, by, x2, y2] }: Line) => `M${x1} ${y1}C${ax} ${ay} ${bx} ${by} ${x2} ${y2}`;

export interface Writing extends Place {
  text: string;
}

const TRIED = [0.5, 0.36, 0.64, 0.24, 0.76];
/** Pixels of a letter and of a line of text. */
const LETTER = 5.6;
const HIGH = 13;

/**
 * What is written on lines, and where: failures first, then the busiest, each where nothing else is written. What finds no
 * room is left out, unless it failed.
 */
export function writings(lines: readonly Line[], label: Label, seconds: number, most: number): Map<string, Writing> {
  const rank = { failing: 0, touched: 1, fine: 2 };
  const sorted = [...lines].sort((a, b) => rank[a.state] - rank[b.state] || b.edge.count - a.edge.count || (a.id < b.id ? -1 : 1));
  const made = new Map<string, Writing>();
  const clear = (at: Place, text: string) =>
    [...made.values()].every((other) => Math.abs(other.y - at.y) >= HIGH || Math.abs(other.x - at.x) >= ((other.text.length + text.length) * LETTER) / 2);
  for (const line of sorted) {
    const text = written(line.edge, label, seconds);
    if (!text || (made.size >= most && line.state !== "failing")) continue;
    const free = TRIED.map((share) => along(line.points, share)).find((at) => clear(at, text));
    if (free || line.state === "failing") made.set(line.id, { ...(free ?? along(line.points, 0.5)), text });
  }
  return made;
}

/** Calls a second in few digits; all of them where nobody says over which time they came. */
export function rate(count: number, seconds: number): string {
  if (!seconds) return Math.round(count).toLocaleString("en");
  const perSecond = count / seconds;
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
  return [said === "–" ? "" : said, state(edge) === "fine" ? "" : failing(edge)].filter(Boolean).join(" · ");
}

/** Name for a person; a namespace only where there is one. */
export const named = ({ name, namespace, role, id }: MapNode) => (namespace && name ? `${name}.${namespace}` : name || role || id);

/** The middle of a long name says least. */
export const shortened = (name: string, most: number) => (name.length <= most ? name : `${name.slice(0, Math.ceil(most / 2))}…${name.slice(name.length - Math.floor(most / 2) + 1)}`);
