import { useEffect, useState } from "preact/hooks";
import { get, told } from "../api";
import { duration, inert, outcome, where } from "../format";
import type { Entry, Page } from "../types";

const BESIDE = 6;
const NEAR_NS = 1_000_000_000;

interface Props {
  entry: Entry;
  onOpen: (id: string) => void;
}

/** Entries before and after this one, oldest first, with this one among them. */
async function around(entry: Entry, only: Record<string, string>, signal: AbortSignal): Promise<Entry[]> {
  const asked = { ...only, detail: "summary", hidden: "true", limit: String(BESIDE) };
  const here = String(entry.timestamp);
  const [before, after] = await Promise.all([
    get<Page>("entries", { ...asked, until: here }, signal),
    get<Page>("entries", { ...asked, since: here, order: "oldest" }, signal),
  ]);
  const found = new Map([...before.entries, ...after.entries, entry].map((one) => [one.id, one]));
  return [...found.values()].sort((a, b) => a.timestamp - b.timestamp || (a.id < b.id ? -1 : 1));
}

/** The conversation that an entry belongs to: what was said before and after. */
export function Conversation({ entry, onOpen }: Props) {
  return <Around entry={entry} only={{ flow_id: entry.flow_id }} onOpen={onOpen} none="Nothing else was said in this conversation." />;
}

/** Whatever happened within a second of this entry. */
export function Neighbours({ entry, onOpen }: Props) {
  return <Around entry={entry} only={{}} within={NEAR_NS} onOpen={onOpen} none="Nothing else happened within a second of it." />;
}

function Around({ entry, only, within, onOpen, none }: Props & { only: Record<string, string>; within?: number; none: string }) {
  const [found, setFound] = useState<Entry[]>();
  const [trouble, setTrouble] = useState("");
  useEffect(() => {
    const asking = new AbortController();
    setFound(undefined);
    setTrouble("");
    around(entry, only, asking.signal)
      .then((all) => setFound(all.filter(({ timestamp }) => !within || Math.abs(timestamp - entry.timestamp) <= within)))
      .catch((error: unknown) => !asking.signal.aborted && setTrouble(told(error)));
    return () => asking.abort();
  }, [entry.id, entry.version]);
  if (trouble) return <p class="trouble">{inert(trouble)}</p>;
  if (!found) return <p class="quiet">Loading…</p>;
  if (found.length < 2) return <p class="quiet">{none}</p>;
  return (
    <ol class="around">
      {found.map((one) => (
        <li key={one.id}>
          <Neighbour one={one} entry={entry} onOpen={onOpen} />
        </li>
      ))}
    </ol>
  );
}

function Neighbour({ one, entry, onOpen }: { one: Entry; entry: Entry; onOpen: (id: string) => void }) {
  const { mark, name } = outcome(one);
  const apart = Math.round((one.timestamp - entry.timestamp) / 1000);
  const here = one.id === entry.id;
  const elsewhere = one.flow_id !== entry.flow_id;
  return (
    <button class={`neighbour ${name}`} aria-current={here} disabled={here} onClick={() => onOpen(one.id)}>
      <span class="apart">{here ? "this" : `${apart < 0 ? "−" : "+"}${apart ? duration(Math.abs(apart)) : "0"}`}</span>
      <span class="mark" aria-label={name}>
        {mark}
      </span>
      <span class="said">
        {elsewhere && <span class="quiet">{inert(`${where(one.src)} → ${where(one.dst)}`)} </span>}
        {inert(one.summary || one.protocol)}
      </span>
    </button>
  );
}
