import type { Feed } from "./feed";
import { has, protocolsIn, toggled, withProtocols } from "./filter";
import type { Protocols } from "./hub";
import type { Order, Place } from "./place";

const ORDER: [Order, string, string][] = [
  ["newest", "Newest", "The newest first, live"],
  ["failed", "Failed first", "Those that failed first, the newest of them at the top"],
  ["slowest", "Slowest first", "The longest latency first"],
  ["oldest", "Oldest", "The oldest first"],
];

interface Props {
  feed: Feed;
  place: Place;
  go: (step: Partial<Place>) => void;
  protocols: Protocols;
}

/** What is narrowed with one click: the buttons write into the filter, the order and the URL. */
export function Chips({ feed, place, go, protocols }: Props) {
  const { filter, order, hidden } = place;
  const on = protocolsIn(filter, protocols.flags);
  const press = (name: string) => go({ filter: withProtocols(filter, on.includes(name) ? on.filter((one) => one !== name) : [...on, name], protocols.flags) });
  const names = [...protocols.shown, ...on.filter((name) => !protocols.shown.includes(name))];
  return (
    <div class="bar">
      <span class="chips" role="group" aria-label="Protocols">
        {names.map((name) => (
          <button key={name} class="chip" aria-pressed={on.includes(name)} onClick={() => press(name)}>
            {name}
          </button>
        ))}
      </span>
      <button class="chip bad" aria-pressed={has(filter, "failed")} onClick={() => go({ filter: toggled(filter, "failed") })}>
        ✕ failed only
      </button>
      {place.view === "list" && (
        <>
          <span class="chips joined" role="group" aria-label="Order">
            {ORDER.map(([name, label, says]) => (
              <button key={name} class="chip" aria-pressed={order === name} title={says} onClick={() => go({ order: name })}>
                {label}
              </button>
            ))}
          </span>
          <Counts feed={feed} hidden={hidden} onHidden={() => go({ hidden: !hidden })} />
        </>
      )}
    </div>
  );
}

function Counts({ feed, hidden, onHidden }: { feed: Feed; hidden: boolean; onHidden: () => void }) {
  const { counts, live, ring } = feed;
  const left = counts.hidden + feed.hiddenBefore;
  return (
    <span class="counts">
      {live ? (
        <span title="Live entries since this filter was set">
          <b>{counts.matched.toLocaleString()}</b> matched · <b>{counts.shown.toLocaleString()}</b> shown
          {counts.shown < counts.matched && <i title="The hub sends a page what a person can follow; the time line and the archive have all"> (too many a second for all)</i>}
          {counts.missed > 0 && (
            <>
              {" "}
              · <b class="failed">{counts.missed.toLocaleString()}</b> missed
            </>
          )}
        </span>
      ) : (
        <span>
          <b>{ring.length.toLocaleString()}</b>
          {feed.complete ? "" : "+"} listed
        </span>
      )}
      {(left > 0 || hidden) && (
        <button class="plain" aria-pressed={hidden} title="Probes of the kubelet, and the same calls seen at a service's address" onClick={onHidden}>
          {hidden ? "hide probes" : `${left.toLocaleString()} hidden`}
        </button>
      )}
    </span>
  );
}
