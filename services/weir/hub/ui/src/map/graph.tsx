import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { duration, inert, size } from "../format";
import { type Label, type Line, failing, named, path, rate, shortened, state, writings } from "./edges";
import { beneath } from "./export";
import { BOX } from "./geometry";
import { extent, towards } from "./layout";
import type { MapEdge, MapNode, Places } from "./types";
import { usePan } from "./usepan";

/** Lines that are written on while nobody points at one: those with the most calls. */
const WRITTEN = 60;

interface Props {
  nodes: readonly MapNode[];
  lines: readonly Line[];
  places: Places;
  label: Label;
  seconds: number;
  onNode: (node: MapNode) => void;
  onEdge: (edge: MapEdge) => void;
}

const ARROWS: Record<string, [number, number]> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** The map itself: boxes and lines that one can point at, move, zoom, and walk through with the keyboard. */
export function Graph({ nodes, lines, places, label, seconds, onNode, onEdge }: Props) {
  const outer = useRef<SVGSVGElement>(null);
  const inner = useRef<SVGGElement>(null);
  const [near, setNear] = useState<string>();
  const [edge, setEdge] = useState<string>();
  const box = useMemo(() => extent(places), [places]);
  const pan = usePan(outer, inner, box);
  const byId = useMemo(() => new Map(nodes.map((node) => [node.id, node])), [nodes]);
  const shown = near && places.has(near) ? near : undefined;
  const current = shown ?? nodes.find(({ id }) => places.has(id))?.id;

  const click = (line: Line) => pan.moved() || onEdge(line.edge);
  // Pointing at something must not draw four hundred lines anew.
  const still = useMemo(() => <Lines lines={lines} label={label} seconds={seconds} onEnter={setEdge} onClick={click} />, [lines, label, seconds, onEdge]);
  const walk = (event: KeyboardEvent, id: string) => {
    const way = ARROWS[event.key];
    if (way) {
      const next = towards(id, places, ...way);
      if (next) outer.current?.querySelector<SVGGElement>(`[data-at="${nodes.findIndex((node) => node.id === next)}"]`)?.focus();
    } else if (event.key === "Enter" || event.key === " ") onNode(byId.get(id)!);
    else if (event.key === "+" || event.key === "=") pan.zoom(1.25);
    else if (event.key === "-") pan.zoom(0.8);
    else if (event.key === "0") pan.fit();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const linked = shown ? lines.filter((line) => line.edge.src === shown || line.edge.dst === shown) : [];
  const pointed = lines.find(({ id }) => id === edge);
  const neighbours = new Set(linked.flatMap((line) => [line.edge.src, line.edge.dst]));
  return (
    <div class="graph">
      <div class="canvas">
      <svg ref={outer} class={`drawing${shown ? " near" : ""}`} role="group" aria-label="Map of calls; arrow keys walk, Enter lists the calls" onPointerLeave={() => (setNear(undefined), setEdge(undefined))}>
        <defs>
          {["fine", "touched", "failing"].map((name) => (
            <marker key={name} id={`arrow-${name}`} class={name} viewBox="0 0 8 8" refX="7" refY="4" markerWidth="9" markerHeight="9" markerUnits="userSpaceOnUse" orient="auto">
              <path d="M0 0L8 4L0 8z" />
            </marker>
          ))}
        </defs>
        <g ref={inner}>
          <g class="lines-still">{still}</g>
          {(linked.length > 0 || pointed) && (
            <g class="lines-near">
              <Lines lines={linked.length ? linked : [pointed!]} label={label === "none" ? "calls" : label} seconds={seconds} onEnter={setEdge} onClick={click} reached />
            </g>
          )}
          {nodes.map((node, at) => {
            const place = places.get(node.id);
            return (
              place && (
                <g
                  key={node.id}
                  data-at={at}
                  class={`node ${state(node)} ${node.role ?? ""}${shown && !neighbours.has(node.id) && node.id !== shown ? " far" : ""}${node.id === shown ? " chosen" : ""}`}
                  transform={`translate(${place.x} ${place.y})`}
                  role="button"
                  tabIndex={node.id === current ? 0 : -1}
                  aria-label={told(node, seconds)}
                  onPointerEnter={() => setNear(node.id)}
                  onPointerLeave={(event) => event.pointerType === "mouse" && setNear(undefined)}
                  onFocus={() => (setNear(node.id), pan.reveal({ ...place, ...BOX }))}
                  onClick={() => pan.moved() || onNode(node)}
                  onKeyDown={(event) => walk(event, node.id)}
                >
                  <rect width={BOX.width} height={BOX.height} rx="7" />
                  <text class="name" x="10" y="17">
                    {shortened(inert(node.name || node.role || node.id), 22)}
                  </text>
                  <text class="under" x="10" y="32">
                    {inert(beneath(node, seconds))}
                  </text>
                </g>
              )
            );
          })}
        </g>
      </svg>
      <div class="zooming" role="group" aria-label="Zoom">
        <button onClick={() => pan.zoom(1.25)} aria-label="Closer">
          +
        </button>
        <button onClick={() => pan.zoom(0.8)} aria-label="Farther">
          −
        </button>
        <button onClick={() => pan.fit()}>All</button>
      </div>
      </div>
      <Facts node={shown ? byId.get(shown) : undefined} line={pointed} byId={byId} seconds={seconds} />
    </div>
  );
}

interface LinesProps {
  lines: readonly Line[];
  label: Label;
  seconds: number;
  onEnter: (id: string | undefined) => void;
  onClick: (line: Line) => void;
  /** Each can be reached with the Tab key. */
  reached?: boolean;
}

function Lines({ lines, label, seconds, onEnter, onClick, reached }: LinesProps) {
  const words = writings(lines, label, seconds, reached ? lines.length : WRITTEN);
  return (
    <>
      {lines.map((line) => (
        <g
          key={line.id}
          class={`line ${line.state}`}
          {...(reached ? { role: "button", tabIndex: 0, "aria-label": edgeTold(line.edge, seconds), onFocus: () => onEnter(line.id) } : { "aria-hidden": true })}
          onPointerEnter={() => onEnter(line.id)}
          onPointerLeave={() => onEnter(undefined)}
          onClick={() => onClick(line)}
          onKeyDown={(event: KeyboardEvent) => event.key === "Enter" && onClick(line)}
        >
          <path class="hit" d={path(line)} />
          <path class="drawn" d={path(line)} stroke-width={line.width} marker-end={`url(#arrow-${line.state})`} />
        </g>
      ))}
      {lines.map((line) => {
        const at = words.get(line.id);
        return (
          at && (
            <text key={line.id} class={line.state} x={at.x} y={at.y - 3}>
              {at.text}
            </text>
          )
        );
      })}
    </>
  );
}

function told(node: MapNode, seconds: number): string {
  return inert([named(node), node.count ? `${rate(node.count, seconds)} calls to it` : "", failing(node) && `${failing(node).slice(2)} failed`].filter(Boolean).join(", "));
}

export const edgeTold = (edge: MapEdge, seconds: number) =>
  inert(
    [
      `${edge.src} → ${edge.dst}`,
      edge.protocols?.join(", "),
      rate(edge.count, seconds),
      edge.errors ? `${failing(edge)} failed` : "none failed",
      edge.p50_us ? `p50 ${duration(edge.p50_us)}, p95 ${duration(edge.p95_us)}, p99 ${duration(edge.p99_us)}` : "",
      size(edge.bytes || edge.flow_bytes || 0),
    ]
      .filter(Boolean)
      .join(" · "),
  );

/** What one points at, in full. */
function Facts({ node, line, byId, seconds }: { node: MapNode | undefined; line: Line | undefined; byId: Map<string, MapNode>; seconds: number }) {
  const [said, say] = useState("");
  const name = (id: string) => {
    const found = byId.get(id);
    return found ? named(found) : id;
  };
  const text = line ? edgeTold({ ...line.edge, src: name(line.edge.src), dst: name(line.edge.dst) }, seconds) : node ? told(node, seconds) : "";
  useEffect(() => say(text), [text]);
  return <output class="pointed">{said || "Point at a box or a line; a click lists its calls. Drag to move, wheel to zoom, arrow keys to walk."}</output>;
}
