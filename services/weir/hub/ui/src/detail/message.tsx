import { duration, inert, size } from "../format";
import type { Entry, Message } from "../types";
import { BodyView } from "./body/view";
import { Pairs, type Pair } from "./pairs";
import { cookieRows, headerRows, mapRows, queryRows } from "./rows";
import { parts, whole } from "./timing";

interface Props {
  side: "request" | "response";
  entry: Entry;
  message: Message;
  onFilter: (text: string) => void;
}

/** One direction of an exchange. */
export function Side({ side, entry, message, onFilter }: Props) {
  const title = side === "request" ? "Request" : "Response";
  const query = side === "request" ? queryRows(entry) : [];
  return (
    <section aria-label={title}>
      <h3>
        {title} <span class="quiet">{size(message.size ?? 0)}</span>
      </h3>
      <p class="start">{inert(startLine(side, entry))}</p>
      <Part title="Query" rows={query} onFilter={onFilter} />
      <Part title="Headers" rows={headerRows(side, message)} onFilter={onFilter} />
      <Part title="Cookies" rows={cookieRows(side, message)} onFilter={onFilter} />
      {message.body && <BodyView side={side} body={message.body} contentType={message.headers?.["content-type"] ?? ""} onFilter={onFilter} />}
      <Part title="Trailers" rows={mapRows(`${side}.trailers`, message.trailers)} onFilter={onFilter} />
    </section>
  );
}

function Part({ title, rows, onFilter }: { title: string; rows: Pair[]; onFilter: (text: string) => void }) {
  if (!rows.length) return null;
  return (
    <details open>
      <summary>
        {title} <span class="quiet">{rows.length}</span>
      </summary>
      <Pairs title={title} rows={rows} onFilter={onFilter} />
    </details>
  );
}

function startLine(side: "request" | "response", entry: Entry): string {
  const said = side === "request" ? [entry.method, entry.url ?? entry.path] : [entry.status_code, entry.reason];
  return said.filter((part) => part !== undefined && part !== "").join(" ");
}

/** When what was sent, as a bar and in words. */
export function Timing({ entry }: { entry: Entry }) {
  const found = parts(entry);
  const all = whole(found);
  if (!all) return null;
  return (
    <figure class="timing">
      <svg viewBox="0 0 1000 8" preserveAspectRatio="none" aria-hidden="true">
        {found.map(({ name, from, us }) => (
          <rect key={name} class={name} x={(from / all) * 1000} width={Math.max((us / all) * 1000, 3)} height="8" />
        ))}
      </svg>
      <figcaption>
        {found.map(({ name, says, us }) => (
          <span key={name} class={name}>
            {says} {us < 1 ? "at once" : duration(us)}
          </span>
        ))}
      </figcaption>
    </figure>
  );
}
