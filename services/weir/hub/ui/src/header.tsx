import type { Feed } from "./feed";
import { type Place, VIEWS, type View } from "./place";
import { Range } from "./timeline/range";
import type { Health } from "./types";

const NAMES: Record<View, string> = { list: "List", map: "Map", state: "State" };

interface Props {
  feed: Feed;
  place: Place;
  go: (step: Partial<Place>) => void;
  health: Health;
  onHelp: () => void;
}

export function Header({ feed, place, go, health, onHelp }: Props) {
  return (
    <header>
      <strong class="brand">weir</strong>
      <nav aria-label="Views">
        {VIEWS.map((view) => (
          <button key={view} class="tab" aria-current={place.view === view ? "page" : undefined} onClick={() => go({ view })}>
            {NAMES[view]}
            {view === "state" && <Sign health={health} />}
          </button>
        ))}
      </nav>
      <span class="apart" />
      <Range place={place} go={go} />
      <State feed={feed} go={go} />
      <button class="help-button" onClick={onHelp} aria-label="Keys">
        ?
      </button>
    </header>
  );
}

/** Something is to be read in the state of weir. */
function Sign({ health }: { health: Health }) {
  const losing = health.losses?.some((loss) => loss.per_s);
  if (health.verdict === "down" || losing) return <b class="sign failed" aria-label=": something is lost now">▲</b>;
  return health.verdict === "degraded" || health.losses?.length ? <b class="sign warn" aria-label=": something is to be read">▲</b> : null;
}

function State({ feed, go }: { feed: Feed; go: Props["go"] }) {
  const { connection, paused, live } = feed;
  const state = connection === "lost" ? "lost" : connection === "connecting" ? "connecting" : !live ? "history" : paused ? "paused" : "live";
  return (
    <>
      <span class={`state ${state}`} role="status">
        {state === "lost" ? "connection lost, trying again" : state}
      </span>
      {live ? (
        <button class="pause" onClick={() => feed.pause(!paused)}>
          {paused ? "Start" : "Pause"}
        </button>
      ) : (
        <button class="pause" onClick={() => go({ since: "", until: "", order: "newest" })}>
          Back to live
        </button>
      )}
    </>
  );
}
