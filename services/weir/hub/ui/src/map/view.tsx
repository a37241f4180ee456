import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { beginOf, dropped, get, told } from "../api";
import { inert } from "../format";
import { LABELS, type Label, lines as linesOf } from "./edges";
import { asMermaid, asSvg } from "./export";
import { Graph } from "./graph";
import { arranged } from "./layout";
import { EdgeTable } from "./table";
import { GROUPS, type Group, type MapEdge, type MapNode, type Places, type ServiceMap } from "./types";
import "./map.css";

const AGAIN_MS = 5_000;
const SPANS = [
  ["5m", "5 minutes"],
  ["15m", "15 minutes"],
  ["1h", "1 hour"],
  ["24h", "1 day"],
  ["", "all that is kept"],
] as const;

interface Props {
  filter: string;
  since: string;
  until: string;
  /** Joins a condition to the filter and shows the list. */
  onFilter: (text: string) => void;
}

export default function MapView({ filter, since, until, onFilter }: Props) {
  const [group, setGroup] = useState<Group>("service");
  const [label, setLabel] = useState<Label>("none");
  const [span, setSpan] = useState("15m");
  const [table, setTable] = useState(false);
  const { map, begin, trouble } = useMap(group, filter, since || span, until, () => !since && !until && setSpan(""));
  const [places, tidy] = usePlaces(group, map);
  const seconds = secondsOf(map, begin);
  const lines = useMemo(() => linesOf(map?.edges ?? [], places, seconds), [map, places, seconds]);
  const onEdge = useCallback((edge: MapEdge) => edge.filter && onFilter(edge.filter), [onFilter]);
  const onNode = useCallback((node: MapNode) => node.filter && onFilter(node.filter), [onFilter]);
  const left = leftOut(map);
  return (
    <section class="map" aria-label="Map">
      <div class="map-bar">
        <Choice title="Group by" value={group} among={GROUPS.map((name) => [name, name])} onChange={setGroup} />
        {!since && !until && <Choice title="Over the last" value={span} among={SPANS} onChange={setSpan} />}
        <Choice title="Write on lines" value={label} among={LABELS.map((name) => [name, name === "none" ? "nothing" : name])} onChange={setLabel} />
        <span class="tabs" role="group" aria-label="Show as">
          <button aria-pressed={!table} onClick={() => setTable(false)}>
            Map
          </button>
          <button aria-pressed={table} onClick={() => setTable(true)}>
            Table
          </button>
        </span>
        <button onClick={tidy} disabled={table}>
          Tidy up
        </button>
        <span class="exports">
          <button disabled={!map} onClick={() => map && save("weir-map.svg", "image/svg+xml", asSvg(map.nodes, lines, places, label, seconds))}>
            SVG
          </button>
          <button disabled={!map} onClick={() => map && save("weir-map.mmd", "text/plain", asMermaid(map, label, seconds))}>
            Mermaid
          </button>
        </span>
        <span class="quiet counted">{map && `${map.nodes.length.toLocaleString()} ${group}s, ${map.edges.length.toLocaleString()} lines`}</span>
      </div>
      {trouble && <p class="trouble">{inert(trouble)}</p>}
      {left && <p class="note">{left}</p>}
      {!map ? (
        !trouble && <p class="empty">Loading…</p>
      ) : !map.nodes.length ? (
        <p class="empty">{filter ? "Nothing matches in this time. Take a condition away, or look further back." : "Nobody has called anybody in this time. Look further back, or wait."}</p>
      ) : table ? (
        <EdgeTable map={map} seconds={seconds} onEdge={onEdge} />
      ) : (
        <Graph nodes={map.nodes} lines={lines} places={places} label={label} seconds={seconds} onNode={onNode} onEdge={onEdge} />
      )}
    </section>
  );
}

/** Rates are over the time of which something is kept: a weir that has run for a minute knows a minute. 0: no rates. */
function secondsOf({ since_ns = 0, until_ns = 0 }: Partial<ServiceMap> = {}, begin: number): number {
  return since_ns && until_ns ? Math.max((until_ns - Math.max(since_ns, begin)) / 1e9, 1) : 0;
}

/** The map as it is now, asked for again while one looks; `onEmpty` is told when its first answer is empty. */
function useMap(group: Group, filter: string, since: string, until: string, onEmpty: () => void) {
  const [map, setMap] = useState<ServiceMap>();
  const [begin, setBegin] = useState(0);
  const [trouble, setTrouble] = useState("");
  const first = useRef(true);
  useEffect(() => {
    const asking = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const asked = { group, ...(filter && { filter }), ...(since && { since }), ...(until && { until }) };
    const ask = async () => {
      try {
        if (!document.hidden) {
          const [found, oldest] = await Promise.all([get<ServiceMap>("map", asked, asking.signal), since ? beginOf(since, until, asking.signal) : 0]);
          setMap(found);
          setBegin(oldest);
          setTrouble("");
          if (first.current && !found.nodes.length) onEmpty();
          first.current = false;
        }
      } catch (error) {
        if (dropped(error)) return;
        setTrouble(told(error));
      }
      if (!until && !asking.signal.aborted) timer = setTimeout(() => void ask(), AGAIN_MS);
    };
    void ask();
    return () => {
      asking.abort();
      clearTimeout(timer);
    };
  }, [group, filter, since, until]);
  return { map, begin, trouble };
}

/** Places are kept as long as one looks at the same groups; to tidy up is to forget them. */
function usePlaces(group: Group, map: ServiceMap | undefined): [Places, () => void] {
  const kept = useRef<{ group: Group; places: Places }>({ group, places: new Map() });
  const [tidied, setTidied] = useState(0);
  const places = useMemo(() => {
    const before = kept.current.group === group ? kept.current.places : new Map();
    const nodes = map?.nodes ?? [];
    return arranged(nodes.map(({ id }) => id), (map?.edges ?? []).map(({ src, dst }) => [src, dst] as const), before);
  }, [map, tidied]);
  kept.current = { group, places };
  return [
    places,
    () => {
      kept.current = { group, places: new Map() };
      setTidied(tidied + 1);
    },
  ];
}

function leftOut(map: ServiceMap | undefined): string {
  const { nodes = 0, edges = 0 } = map?.left_out ?? {};
  const parts = [nodes && `${nodes.toLocaleString()} boxes`, edges && `${edges.toLocaleString()} lines`].filter(Boolean);
  return parts.length ? `${parts.join(" and ")} with the fewest calls are left out; group more coarsely, or filter.` : "";
}

function Choice<T extends string>({ title, value, among, onChange }: { title: string; value: T; among: readonly (readonly [T, string])[]; onChange: (value: T) => void }) {
  return (
    <label>
      <span class="quiet">{title}</span>{" "}
      <select value={value} onChange={(event) => onChange(event.currentTarget.value as T)}>
        {among.map(([name, text]) => (
          <option key={name} value={name}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

function save(name: string, type: string, text: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
