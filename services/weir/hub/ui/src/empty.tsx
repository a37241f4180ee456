import type { Feed } from "./feed";
import type { Place } from "./place";
import type { Health } from "./types";

interface Props {
  feed: Feed;
  health: Health;
  place: Place;
  go: (step: Partial<Place>) => void;
}

/** Why nothing is listed, and what to do next. */
export function Empty({ feed, health, place, go }: Props) {
  const { says, next } = why(feed, health, place);
  return (
    <div class="empty">
      <p>{says}</p>
      {next.map(({ label, step }) => (
        <button key={label} onClick={() => (step ? go(step) : feed.pause(false))}>
          {label}
        </button>
      ))}
    </div>
  );
}

interface Said {
  says: string;
  /** Buttons; without a step: go on after a pause. */
  next: { label: string; step?: Partial<Place> }[];
}

export function why(feed: Pick<Feed, "connection" | "loaded" | "refused" | "trouble" | "paused">, health: Health, place: Place): Said {
  const clear = { label: "Clear the filter", step: { filter: "" } };
  const live = { label: "Back to live", step: { since: "", until: "", order: "newest" as const } };
  if (feed.refused) return { says: "The filter cannot be read: mend it above, or clear it.", next: [clear] };
  if (feed.connection === "lost") return { says: "The hub does not answer. Is weir still running? This page tries again by itself.", next: [] };
  if (!feed.loaded) return { says: "Loading…", next: [] };
  if (feed.trouble && (place.since || place.until)) return { says: "Nothing can be shown for this time.", next: [live] };
  if (feed.trouble) return { says: "History cannot be read now; live entries go on.", next: [] };
  if (place.since || place.until) return { says: "Nothing matches in this time. Take another time or filter.", next: [live, ...(place.filter ? [clear] : [])] };
  if (place.filter) return { says: "Nothing matches. Take a condition away, or wait.", next: [clear] };
  if (feed.paused) return { says: "Paused, and nothing was there before.", next: [{ label: "Start" }] };
  if (health.target?.outline) return { says: "No connection has been opened or closed yet. Connections appear here as soon as there are any.", next: [] };
  return { says: "Nothing has been seen yet. State tells what is captured and where.", next: [{ label: "Open State", step: { view: "state" } }] };
}
