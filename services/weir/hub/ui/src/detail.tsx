import { useEffect, useState } from "preact/hooks";
import { ApiError, one } from "./api";
import { bodyText, duration, inert, iso, outcome, size, where } from "./format";
import type { Body, Entry, Message } from "./types";

/** Fields with a place of their own in the detail, or of no use to a reader. */
const PLACED = new Set([
  "v", "id", "version", "timestamp", "elapsed_time", "protocol", "kind", "src", "dst", "request", "response", "ok",
  "summary", "weird", "incomplete",
]);

interface Props {
  id: string;
  onClose: () => void;
}

export function Detail({ id, onClose }: Props) {
  const [entry, setEntry] = useState<Entry>();
  const [trouble, setTrouble] = useState("");
  useEffect(() => {
    let current = true;
    setTrouble("");
    one(id).then(
      (found) => current && setEntry(found),
      (error: unknown) => current && setTrouble(error instanceof ApiError ? `${error.message} ${error.hint}` : String(error)),
    );
    return () => {
      current = false;
    };
  }, [id]);

  return (
    <aside class="detail" aria-label="Entry">
      <button class="close" onClick={onClose} aria-label="Close (Escape)">
        ×
      </button>
      {trouble ? <p class="trouble">{trouble}</p> : entry ? <Facts entry={entry} /> : <p class="quiet">Loading…</p>}
    </aside>
  );
}

function Facts({ entry }: { entry: Entry }) {
  const { name } = outcome(entry);
  const rest = Object.entries(entry).filter(([key]) => !PLACED.has(key));
  return (
    <>
      <h2 class={name}>{inert(entry.summary ?? entry.protocol)}</h2>
      <p class="quiet">
        {iso(entry.timestamp)} · {inert(where(entry.src))} → {inert(where(entry.dst))} · {duration(entry.elapsed_time)} · {name}
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
    <section>
      <h3>
        {title} <span class="quiet">{size(message.size ?? 0)}</span>
      </h3>
      {message.headers && <Table rows={Object.entries(message.headers)} />}
      {message.trailers && <Table rows={Object.entries(message.trailers)} />}
      {message.body && <BodyView body={message.body} />}
    </section>
  );
}

function BodyView({ body }: { body: Body }) {
  return (
    <>
      <p class="quiet">
        Body {size(body.size ?? 0)}
        {body.encoding ? `, ${body.encoding}` : ""}
        {body.truncated ? ", cut" : ""}
      </p>
      <pre tabIndex={0}>{inert(bodyText(body))}</pre>
    </>
  );
}

function Table({ rows }: { rows: [string, unknown][] }) {
  return (
    <table>
      <tbody>
        {rows.map(([key, value]) => (
          <tr>
            <th scope="row">{inert(key)}</th>
            <td>{inert(typeof value === "string" ? value : JSON.stringify(value))}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
