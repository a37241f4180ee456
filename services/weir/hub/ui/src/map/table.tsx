import { duration, inert, size } from "../format";
import { failing, named, rate, state } from "./edges";
import type { MapEdge, MapNode, ServiceMap } from "./types";

interface Props {
  map: ServiceMap;
  seconds: number;
  onEdge: (edge: MapEdge) => void;
}

/** The same as the map, to be read line by line. */
export function EdgeTable({ map, seconds, onEdge }: Props) {
  const byId = new Map<string, MapNode>(map.nodes.map((node) => [node.id, node]));
  const name = (id: string) => inert(byId.has(id) ? named(byId.get(id)!) : id);
  const edges = [...map.edges].sort((a, b) => b.count - a.count);
  return (
    <div class="table-scroll" tabIndex={0}>
      <table class="edges">
        <caption class="quiet">Who calls whom, busiest first</caption>
        <thead>
          <tr>
            <th scope="col">From</th>
            <th scope="col">To</th>
            <th scope="col">Protocols</th>
            {["Calls", "Failed", "p50", "p95", "p99", "Bytes"].map((title) => (
              <th scope="col" class="number" key={title}>
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {edges.map((edge) => (
            <tr key={`${edge.src} ${edge.dst}`} class={state(edge)}>
              <td>
                <button class="link" onClick={() => onEdge(edge)} aria-label={`List calls from ${name(edge.src)} to ${name(edge.dst)}`}>
                  {name(edge.src)}
                </button>
              </td>
              <td>{name(edge.dst)}</td>
              <td>{inert(edge.protocols?.join(", ") ?? "")}</td>
              <td class="number">{rate(edge.count, seconds)}</td>
              <td class="number failing">{failing(edge) || "–"}</td>
              <td class="number">{duration(edge.p50_us)}</td>
              <td class="number">{duration(edge.p95_us)}</td>
              <td class="number">{duration(edge.p99_us)}</td>
              <td class="number">{size(edge.bytes || edge.flow_bytes || 0)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
