import { useEffect, useRef } from "preact/hooks";
import { inert, size } from "../format";
import type { Health } from "../types";
import { type Clocks, clocks, costs } from "./picture";

export function Megabytes({ perSecond, perDay }: { perSecond: number; perDay: number }) {
  return (
    <span class="tabular">
      {perSecond < 0.1 ? perSecond.toPrecision(1) : perSecond.toFixed(1)} MB/s, {perDay < 10 ? perDay.toFixed(1) : Math.round(perDay).toLocaleString()} GB a day
    </span>
  );
}

/** What weir itself takes, node by node. */
export function Costs({ health }: { health: Health }) {
  const before = useRef<Clocks>(new Map());
  const last = useRef<{ health: Health; clocks: Clocks }>({ health, clocks: new Map() });
  if (last.current.health !== health) before.current = last.current.clocks;
  useEffect(() => {
    last.current = { health, clocks: clocks(health) };
  }, [health]);
  const found = costs(health, before.current);
  if (!found.length) return null;
  return (
    <section aria-label="Cost">
      <h3>What weir costs</h3>
      <div class="table-scroll">
        <table class="facts">
          <thead>
            <tr>
              <th scope="col">Node</th>
              <th scope="col" class="number">CPU</th>
              <th scope="col" class="number">Memory</th>
              <th scope="col" class="number">To the bus</th>
              <th scope="col" class="number">Ceiling</th>
            </tr>
          </thead>
          <tbody>
            {found.map(({ node, cores, bytes, mbPerSecond, gbPerDay, ceiling, above }) => (
              <tr key={node} class={above ? "failing" : ""}>
                <td>{inert(node)}</td>
                <td class="number">{cores < 0.995 ? `${(cores * 100).toFixed(cores < 0.1 ? 1 : 0)} %` : `${cores.toFixed(1)} cores`}</td>
                <td class="number">{size(bytes)}</td>
                <td class="number">{mbPerSecond === undefined ? "–" : <Megabytes perSecond={mbPerSecond} perDay={gbPerDay ?? 0} />}</td>
                <td class="number">{ceiling === undefined ? "–" : `${above ? "▲ " : ""}${ceiling} MB/s`}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
