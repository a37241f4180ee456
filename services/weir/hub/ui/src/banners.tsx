import { inert } from "./format";
import type { Feed } from "./feed";
import type { Health, Loss } from "./types";

/** Losses that are told one by one; more are folded, so that the list keeps its place. */
const TOLD = 2;

interface Props {
  feed: Feed;
  health: Health;
  trouble: string;
  /** Shows the state of weir. */
  onState: () => void;
}

export function Banners({ feed, health, trouble, onState }: Props) {
  const said = trouble || (feed.refused ? "" : feed.trouble);
  const { missed } = feed.counts;
  return (
    <div class="banners" aria-live="polite">
      {said && <p class="banner bad">{sentence(said)}</p>}
      {health.target?.says && !(health.target.outline && health.target.capture !== false) && <p class="banner">{sentence(health.target.says)}</p>}
      <Losses losses={health.losses ?? []} />
      {missed > 0 && (
        <p class="banner bad">
          This page was too slow for {missed.toLocaleString()} {missed === 1 ? "entry" : "entries"}.{" "}
          <button onClick={() => void feed.reload()}>Load history</button>
        </p>
      )}
      {health.says?.map((text) => <p class="banner">{inert(text)} <button class="plain" onClick={onState}>State</button></p>)}
    </div>
  );
}

/** What is being lost comes first, and in red; what was lost before stays to be read. */
function Losses({ losses }: { losses: Loss[] }) {
  const sorted = [...losses].sort((a, b) => (b.per_s ?? 0) - (a.per_s ?? 0) || b.count - a.count);
  const line = (loss: Loss) => <p class={`banner${loss.per_s ? " bad" : ""}`}>{loss.says}</p>;
  const rest = sorted.slice(TOLD);
  return (
    <>
      {sorted.slice(0, TOLD).map(line)}
      {rest.length > 0 && (
        <details class="banner">
          <summary>
            {rest.length} more {rest.length === 1 ? "loss" : "losses"}
          </summary>
          {rest.map(line)}
        </details>
      )}
    </>
  );
}

const sentence = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
