import { useEffect, useState } from "preact/hooks";
import { ApiError, one, told } from "../api";
import { Copy } from "./copy";
import { bodyText, duration, inert, moment, outcome, size, where } from "../format";
import type { Body, Entry, Message } from "../types";

/** Fields with a place of their own in the detail, or of no use to a reader. */
const PLACED = new Set([
  "v", "id", "version", "timestamp", "elapsed_time", "protocol", "kind", "src", "dst", "request", "response", "ok",
  "summary", "weird", "incomplete",
]);
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
}

export default function Detail({ id, known, onClose, onFlow }: Props) {
  const { entry, trouble } = useEntry(id, known?.version ?? 1);
  const shown = entry ?? known;
  return (
    <aside class="detail" aria-label="Entry" key={id}>
      <button class="close" onClick={onClose} aria-label="Close (Escape)">
        ×
      </button>
      {shown && <Facts entry={shown} onFlow={onFlow} />}
      {trouble ? <p class="trouble">{trouble}</p> : !entry && <p class="quiet">Loading…</p>}
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

function Facts({ entry, onFlow }: { entry: Entry; onFlow: (flow: string) => void }) {
  const { name } = outcome(entry);
  const rest = Object.entries(entry).filter(([key]) => !PLACED.has(key));
  return (
    <>
      <h2 class={name}>{inert(entry.summary ?? entry.protocol)}</h2>
      <p class="quiet">
        {moment(entry.timestamp)} · {inert(where(entry.src))} → {inert(where(entry.dst))} · {duration(entry.elapsed_time)} · {name}
      </p>
      <p class="actions">
        <button onClick={() => onFlow(entry.flow_id)}>Show this conversation</button>
      </p>
      {entry.incomplete?.map((text) => <p class="note">Incomplete: {inert(text)}</p>)}
      {entry.weird?.map((text) => <p class="note">Weird: {inert(text)}</p>)}
      <div class="sides">
        {entry.request && <Side title="Request" message={entry.request} />}
        {entry.response && <Side title="Response" message={entry.response} />}
      </div>
      <h3>Fields</h3>
      <Table rows={[["id", entry.id], ...rest]} />
    </>
  );
}

function Side({ title, message }: { title: string; message: Message }) {
  return (
    <section aria-label={title}>
      <h3>
        {title} <span class="quiet">{size(message.size ?? 0)}</span>
      </h3>
      {message.headers && <Table rows={Object.entries(message.headers)} />}
      {message.trailers && <Table rows={Object.entries(message.trailers)} />}
      {message.body && <BodyView body={message.body} title={title} />}
    </section>
  );
}

function BodyView({ body, title }: { body: Body; title: string }) {
  const text = bodyText(body);
  return (
    <>
      <p class="quiet valued">
        Body {size(body.size ?? 0)}
        {body.encoding ? `, ${inert(body.encoding)}` : ""}
        {body.truncated ? ", cut" : ""} <Copy text={body.text ?? text} what={`body of the ${title.toLowerCase()}`} />
      </p>
      {text && <pre tabIndex={0}>{inert(text)}</pre>}
    </>
  );
}

function Table({ rows }: { rows: [string, unknown][] }) {
  return (
    <table>
      <tbody>
        {rows.map(([key, value]) => {
          const text = typeof value === "string" ? value : JSON.stringify(value);
          return (
            <tr class="valued">
              <th scope="row">{inert(key)}</th>
              <td>
                {inert(text)} <Copy text={text} what={inert(key)} />
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
