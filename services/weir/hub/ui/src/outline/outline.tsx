import "./outline.css";
import { useEffect, useState } from "preact/hooks";
import { preview as askPreview, stats, target, told } from "../api";
import { inert, size } from "../format";
import type { Health, Preview } from "../types";
import { type Candidate, GROUPINGS, busiest, meant } from "./busiest";

const AGAIN_MS = 10_000;
const PAST = "15m";
const CLOSED = "weir.outline.closed";

/** With no target: what the outline is, and the busiest services to begin with. */
export function Outline({ health }: { health: Health }) {
  const [closed, setClosed] = useState(() => globalThis.sessionStorage?.getItem(CLOSED) === "yes");
  const [chosen, setChosen] = useState<Candidate>();
  const candidates = useBusiest(!closed);
  if (closed)
    return (
      <p class="banner">
        Outline: connections and DNS only, no payload.{" "}
        <button class="plain" onClick={() => setClosed(false)}>
          Choose what to read
        </button>
      </p>
    );
  const close = () => {
    globalThis.sessionStorage?.setItem(CLOSED, "yes");
    setClosed(true);
  };
  const ofPods = (health.target?.targeted?.pods ?? 0) > 0;
  return (
    <section class="outline" aria-label="Outline">
      <button class="plain later" onClick={close}>
        later
      </button>
      <p>
        <b>Outline.</b> weir shows who connects to whom, how much, and which names were asked for. No payload is read until somebody chooses
        whose{candidates.length ? "; these carry most:" : "."}
      </p>
      {chosen ? (
        <Choice candidate={chosen} onDone={() => setChosen(undefined)} />
      ) : (
        <div class="choices">
          {candidates.map((one) => (
            <button key={one.name} onClick={() => setChosen(one)}>
              Read <b>{inert(one.name)}</b> <span class="quiet">{size(one.bytes)} in 15 min</span>
            </button>
          ))}
        </div>
      )}
      <p class="quiet">
        In a terminal: <code>{ofPods ? "weir tap POD -n NAMESPACE" : "weir up --target port:8080"}</code>
        {ofPods ? " while you look, " : " for one port, "}
        <code>{ofPods ? "weir targets add POD -n NAMESPACE" : "--target all"}</code>
        {ofPods ? " until you remove it." : " for everything."}
      </p>
    </section>
  );
}

function useBusiest(wanted: boolean): Candidate[] {
  const [found, setFound] = useState<Candidate[]>([]);
  useEffect(() => {
    if (!wanted) return;
    let current = true;
    const ask = async () => {
      for (const by of GROUPINGS) {
        const made = await stats({ group_by: by, since: PAST, limit: "50" }).then((groups) => busiest(by, groups), () => []);
        if (!current) return;
        if (made.length) {
          setFound(made);
          return;
        }
      }
    };
    void ask();
    const timer = setInterval(() => void ask(), AGAIN_MS);
    return () => {
      current = false;
      clearInterval(timer);
    };
  }, [wanted]);
  return found;
}

/** What the choice would mean, before it is made. */
function Choice({ candidate, onDone }: { candidate: Candidate; onDone: () => void }) {
  const [preview, setPreview] = useState<Preview>();
  const [trouble, setTrouble] = useState("");
  useEffect(() => {
    const { name: _, for_s: __, ...wish } = candidate.wish;
    askPreview(wish).then(setPreview, (error: unknown) => setTrouble(told(error)));
  }, [candidate]);
  const choose = async (for_s: number) => {
    try {
      await target({ ...candidate.wish, for_s });
      onDone();
    } catch (error) {
      setTrouble(told(error));
    }
  };
  return (
    <div class="choices" role="group" aria-label={`Read ${inert(candidate.name)}`}>
      <p>
        <b>{inert(candidate.name)}</b> – {preview ? inert(meant(preview, candidate)) : "…"}
        {preview?.warnings.map((text) => <span class="warn"> {inert(text)}</span>)}
      </p>
      <button class="main" disabled={!preview} onClick={() => void choose(candidate.wish.for_s ?? 0)}>
        Read for 30 minutes
      </button>
      <button disabled={!preview} onClick={() => void choose(0)}>
        Until it is removed
      </button>
      <button onClick={onDone}>Cancel</button>
      {trouble && (
        <p class="trouble" role="alert">
          {inert(trouble)}
        </p>
      )}
    </div>
  );
}
