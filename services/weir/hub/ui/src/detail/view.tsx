import { useEffect, useState } from "preact/hooks";
import { ApiError, one, told } from "../api";
import { duration, host, inert, moment, outcome, where } from "../format";
import type { Entry, Peer } from "../types";
import { peer, similar } from "./clause";
import { Conversation, Neighbours } from "./conversation";
import { CopyAs } from "./copy";
import { curl, sendable } from "./curl";
import { marks } from "./marks";
import { Side, Timing } from "./message";
import { Pairs } from "./pairs";
import { fieldRows, peerRows } from "./rows";
import "./detail.css";

/** A live entry may be shown before the archive has it. */
const TRIES = 6;
const AGAIN_MS = 500;

interface Props {
  id: string;
  /** What the list knows of the entry: shown until the rest has come. */
  known?: Entry | undefined;
  onClose: () => void;
  /** Joins a condition to the filter. */
  onFilter: (text: string) => void;
  onFlow: (flow: string) => void;
  /** Opens another entry; without it the detail shows it by itself. */
  onOpen?: ((id: string) => void) | undefined;
}

export default function Detail({ id, known, onClose, onFilter, onFlow, onOpen }: Props) {
  const [stepped, setStepped] = useState<{ from: string; to: string }>();
  const at = stepped?.from === id ? stepped.to : id;
  const listed = known?.id === at ? known : undefined;
  const { entry, trouble } = useEntry(at, listed?.version ?? 1);
  const shown = entry ?? listed;
  const open = onOpen ?? ((to: string) => setStepped({ from: id, to }));
  return (
    <aside class="detail" aria-label="Entry" key={at}>
      <button class="close" onClick={onClose} aria-label="Close (Escape)">
        ×
      </button>
      {at !== id && (
        <p class="actions">
          <button onClick={() => setStepped(undefined)}>← Back to the chosen entry</button>
        </p>
      )}
      {shown && <Facts entry={shown} whole={!!entry} onFilter={onFilter} onFlow={onFlow} onOpen={open} />}
      {trouble ? <p class="trouble">{inert(trouble)}</p> : !entry && <p class="quiet">Loading…</p>}
    </aside>
  );
}

function useEntry(id: string, version: number) {
  const [entry, setEntry] = useState<Entry>();
  const [trouble, setTrouble] = useState("");
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let current = true;
    const ask = async (tries: number) => {
      try {
        const found = await one(id);
        if (current) setEntry(found);
      } catch (error) {
        if (!current) return;
        if (error instanceof ApiError && error.status === 404 && tries > 1) timer = setTimeout(() => void ask(tries - 1), AGAIN_MS);
        else setTrouble(told(error));
      }
    };
    setTrouble("");
    void ask(TRIES);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [id, version]);
  return { entry: entry?.id === id ? entry : undefined, trouble };
}

interface FactsProps {
  entry: Entry;
  /** The archive's copy, with headers and bodies. */
  whole: boolean;
  onFilter: (text: string) => void;
  onFlow: (flow: string) => void;
  onOpen: (id: string) => void;
}

function Facts({ entry, whole, onFilter, onFlow, onOpen }: FactsProps) {
  const { mark, name } = outcome(entry);
  return (
    <>
      <h2 class={name}>
        <span class="mark" aria-label={name}>
          {mark}
        </span>{" "}
        {inert(entry.summary || entry.protocol)}
      </h2>
      <p class="ends">
        <End end="src" peer={entry.src} onFilter={onFilter} /> → <End end="dst" peer={entry.dst} onFilter={onFilter} />
      </p>
      <p class="quiet">
        {moment(entry.timestamp)} · {duration(entry.elapsed_time)} · {name}
      </p>
      <div class="actions" role="group" aria-label="Do with this entry">
        <button onClick={() => onFlow(entry.flow_id)}>Show this conversation</button>
        <button onClick={() => onFilter(similar(entry))}>Show others like it</button>
        <span class="quiet">Copy as</span>
        <span class="tabs">
          {whole && sendable(entry) && <CopyAs make={() => curl(entry)}>curl</CopyAs>}
          <CopyAs make={() => similar(entry)}>filter</CopyAs>
          {whole && <CopyAs make={() => written(entry)}>JSON</CopyAs>}
        </span>
      </div>
      {marks(entry).map(({ what, says }, at) => (
        <p class="note" key={at}>
          {what}: {inert(says)}
        </p>
      ))}
      <Timing entry={entry} />
      <div class="sides">
        {entry.request && <Side side="request" entry={entry} message={entry.request} onFilter={onFilter} />}
        {entry.response && <Side side="response" entry={entry} message={entry.response} onFilter={onFilter} />}
      </div>
      {whole && <More entry={entry} onFilter={onFilter} onOpen={onOpen} />}
    </>
  );
}

/** Indented, unless it nests too deeply for that. */
function written(entry: Entry): string {
  try {
    return JSON.stringify(entry, null, 2);
  } catch {
    return JSON.stringify({ id: entry.id, error: "nested too deeply" });
  }
}

function End({ end, peer: one, onFilter }: { end: "src" | "dst"; peer: Peer; onFilter: (text: string) => void }) {
  const condition = peer(end, one);
  return (
    <button class="end-name" disabled={!condition} title={`Only calls ${end === "src" ? "from" : "to"} ${inert(host(one))}`} onClick={() => condition && onFilter(condition)}>
      {inert(where(one)) || "unknown"}
    </button>
  );
}

function More({ entry, onFilter, onOpen }: Pick<FactsProps, "entry" | "onFilter" | "onOpen">) {
  const [near, setNear] = useState(false);
  return (
    <>
      <h3>Conversation</h3>
      <Conversation entry={entry} onOpen={onOpen} />
      <details onToggle={(event) => setNear(event.currentTarget.open)}>
        <summary>What else happened within a second</summary>
        {near && <Neighbours entry={entry} onOpen={onOpen} />}
      </details>
      <div class="sides">
        <section aria-label="Client">
          <h3>Client</h3>
          <Pairs title="Client" rows={peerRows("src", entry.src)} onFilter={onFilter} />
        </section>
        <section aria-label="Server">
          <h3>Server</h3>
          <Pairs title="Server" rows={peerRows("dst", entry.dst)} onFilter={onFilter} />
        </section>
      </div>
      <h3>Fields</h3>
      <Pairs title="Fields" rows={fieldRows(entry)} onFilter={onFilter} />
    </>
  );
}
