import { useEffect, useState } from "preact/hooks";
import { get } from "../api";
import { quote } from "../detail/clause";
import { inert, size } from "../format";
import type { Health, Process } from "../types";
import { Costs } from "./cost";
import { losses, type Stage, stages } from "./picture";
import { Rules } from "./rules";
import { Settings } from "./settings";
import type { Targets } from "./types";
import { lasting, STAGES, WORK } from "./words";
import "./state.css";

const AGAIN_MS = 5_000;
/** Records that are read within a moment; more are worth saying. */
const BEHIND = 10_000;

interface Props {
  health: Health;
  /** Joins a condition to the filter and shows the list. */
  onFilter: (text: string) => void;
}

const VERDICTS: Record<string, [string, string]> = {
  ok: ["✓", "All is well"],
  degraded: ["▲", "Something needs a look"],
  down: ["✕", "weir is down"],
};

export default function StateView({ health, onFilter }: Props) {
  const [sign, title] = VERDICTS[health.verdict ?? ""] ?? ["…", "Asking how weir is"];
  const leaks = health.leaks ?? [];
  const says = (health.says ?? []).filter((text) => !leaks.some((leak) => leak.says === text));
  return (
    <section class="state-view" aria-label="State of weir">
      <h2 class={`verdict ${health.verdict ?? ""}`}>
        <span aria-hidden="true">{sign}</span> {title}
      </h2>
      {leaks.map(({ says: text }) => (
        <p class="alert" role="alert" key={text}>
          {inert(text)}
        </p>
      ))}
      {says.map((text) => (
        <p class="note warn" key={text}>
          {inert(text)}
        </p>
      ))}
      <Way health={health} />
      <Losses health={health} />
      <Targeted health={health} onFilter={onFilter} />
      <Rules />
      <Costs health={health} />
      <Processes health={health} />
      <Settings />
    </section>
  );
}

/** The way of a packet through the stages. */
function Way({ health }: { health: Health }) {
  const found = stages(health);
  if (!found.length) return null;
  return (
    <section aria-label="Stages">
      <h3>From packets to this page</h3>
      <ol class="way">
        {found.map((stage) => (
          <StageCard key={stage.name} stage={stage} />
        ))}
      </ol>
    </section>
  );
}

function StageCard({ stage }: { stage: Stage }) {
  const { name, processes, up, perSecond, partitions, behind, losing } = stage;
  const gone = processes.length - up;
  const look = losing || gone ? "bad" : behind >= BEHIND ? "late" : "fine";
  return (
    <li class={`stage ${look}`}>
      <b>{inert(name)}</b>
      <p class="quiet">{STAGES[name] ?? ""}</p>
      <p class="tabular">
        {up.toLocaleString()} {up === 1 ? "process" : "processes"}
        {gone > 0 && <strong class="bad"> ✕ {gone} gone</strong>}
      </p>
      {perSecond !== undefined && (
        <p class="tabular">
          {Math.round(perSecond).toLocaleString()} {WORK[name]?.[1]}/s
        </p>
      )}
      {losing > 0 && <p class="bad">✕ losing {Math.ceil(losing).toLocaleString()}/s</p>}
      {partitions.length > 0 && (
        <details>
          <summary class={behind >= BEHIND ? "late" : ""}>
            {behind >= BEHIND ? "▲ " : ""}
            {behind ? `${behind.toLocaleString()} records behind` : "up to date"}
          </summary>
          <table class="facts">
            <tbody>
              {partitions.map(({ topic, partition, behind: lag, process }) => (
                <tr key={`${topic} ${partition} ${process}`}>
                  <td title={inert(process)}>
                    {inert(topic)} {inert(partition)}
                  </td>
                  <td class="number">{lag.toLocaleString()}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </details>
      )}
    </li>
  );
}

function Losses({ health }: { health: Health }) {
  const found = losses(health);
  return (
    <section aria-label="Losses">
      <h3>What is missing</h3>
      {!found.length && <p class="quiet">{health.processes ? "Nothing was lost since these processes started." : ""}</p>}
      <ul class="losses">
        {found.map(({ what, stage, says, hint, count, perSecond, where }) => (
          <li key={what} class={perSecond ? "bad" : ""}>
            <b class="tabular">{count.toLocaleString()}</b> {inert(says)}
            <span class="quiet">
              {" "}
              · in {inert(stage)}, {inert(where.slice(0, 3).join(", "))}
              {where.length > 3 && ` and ${where.length - 3} more`} · <code>{inert(what)}</code>
            </span>
            {perSecond > 0 ? <p class="now">✕ {perSecond < 10 ? perSecond.toFixed(1) : Math.round(perSecond).toLocaleString()} a second now{hint && `: ${hint}`}</p> : <span class="quiet"> · none now</span>}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Targeted({ health, onFilter }: Props) {
  const [targets, setTargets] = useState<Targets>();
  useEffect(() => {
    const ask = () => get<Targets>("targets").then(setTargets, () => undefined);
    void ask();
    const timer = setInterval(() => document.hidden || void ask(), AGAIN_MS);
    return () => clearInterval(timer);
  }, []);
  const { target } = health;
  const pods = targets?.listed ?? [];
  return (
    <section aria-label="Targets">
      <h3>What is read</h3>
      <p>
        {inert(target?.outline ? (target.says ?? "") : `${target?.now ?? targets?.says ?? ""}`)}
        {target?.sample_rate !== undefined && target.sample_rate < 1 && ` · ${(target.sample_rate * 100).toPrecision(2)} % of conversations are kept`}
        {target && !target.outline && ` · bodies are ${target.bodies ? "kept" : "left out"}`}
      </p>
      {pods.length > 0 && (
        <ul class="pods">
          {pods.slice(0, 12).map(({ pod, mb_per_s }) => (
            <li key={pod}>
              <button class="link" title="List its calls" onClick={() => onFilter(podFilter(pod))}>
                {inert(pod)}
              </button>
              {!!mb_per_s && <span class="quiet tabular"> {mb_per_s.toPrecision(2)} MB/s</span>}
            </li>
          ))}
          {pods.length > 12 && <li class="quiet">and {((targets?.pods ?? pods.length) - 12).toLocaleString()} more</li>}
        </ul>
      )}
    </section>
  );
}

function podFilter(pod: string): string {
  const slash = pod.indexOf("/");
  const end = (name: string) => `${name}.pod.name == ${quote(pod.slice(slash + 1))}${slash > 0 ? ` && ${name}.pod.namespace == ${quote(pod.slice(0, slash))}` : ""}`;
  return `${end("src")} || ${end("dst")}`;
}

function Processes({ health: { processes = [] } }: { health: Health }) {
  return (
    <section aria-label="Processes">
      <details>
        <summary>
          <h3>Processes</h3> <span class="quiet">{processes.length}</span>
        </summary>
        {processes.map((one) => (
          <ProcessFacts key={one.process} one={one} />
        ))}
      </details>
    </section>
  );
}

function ProcessFacts({ one }: { one: Process }) {
  return (
    <details class="process">
      <summary>
        {one.state === "up" ? "●" : "✕"} {inert(one.process)}{" "}
        <span class="quiet">
          {one.state === "up" ? `up for ${lasting(one.uptime_s)}` : `has not reported for ${lasting(one.age_s)}`} · {size(one.rss_bytes)}
        </span>
      </summary>
      <table class="facts">
        <tbody>
          {Object.entries(one.mode).map(([name, value]) => (
            <tr key={name}>
              <th scope="row">{inert(name)}</th>
              <td>{inert(value)}</td>
            </tr>
          ))}
          {Object.entries(one.counters).map(([name, value]) => (
            <tr key={name}>
              <th scope="row">{inert(name)}</th>
              <td class="tabular">
                {value.toLocaleString()} <span class="quiet">{one.rates[name] ? `${one.rates[name].toPrecision(3)}/s` : ""}</span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}
