import { inert } from "./format";
import type { Feed } from "./feed";
import type { Health, Loss } from "./types";

/** What is told one by one; more is folded, so that the list keeps its place. */
const TOLD = 2;

interface Props {
  feed: Feed;
  health: Health;
  trouble: string;
  /** Shows the state of weir; undefined where it is shown, which tells all of it at length. */
  onState: (() => void) | undefined;
}

export function Banners({ feed, health, trouble, onState }: Props) {
  const said = trouble || (feed.refused ? "" : feed.trouble);
  const { missed } = feed.counts;
  const says = onState ? (health.says ?? []) : [];
  return (
    <div class="banners" aria-live="polite">
      {said && <p class="banner bad">{sentence(said)}</p>}
      {onState && health.target?.says && !(health.target.outline && health.target.capture !== false) && <p class="banner">{sentence(health.target.says)}</p>}
      {onState && <Losses losses={health.losses ?? []} />}
      {missed > 0 && (
        <p class="banner bad">
          This page was too slow for {missed.toLocaleString()} {missed === 1 ? "entry" : "entries"}.{" "}
          <button onClick={() => void feed.reload()}>Load history</button>
        </p>
      )}
      {says.slice(0, TOLD).map((text) => (
        <p class="banner" key={text}>
          {inert(text)}
        </p>
      ))}
      {says.length > TOLD && (
        <p class="banner">
          {says.length - TOLD} more to read:{" "}
          <button class="plain" onClick={onState}>
            open State
          </button>
        </p>
      )}
    </div>
  );
}

/** What is being lost is told in red; what was lost before stays to be read, in one line. */
function Losses({ losses }: { losses: Loss[] }) {
  const sorted = [...losses].sort((a, b) => (b.per_s ?? 0) - (a.per_s ?? 0) || b.count - a.count);
  const now = sorted.filter((loss) => loss.per_s);
  const before = sorted.filter((loss) => !loss.per_s);
  return (
    <>
      {now.slice(0, TOLD).map((loss) => (
        <p class="banner bad" key={loss.says}>
          {inert(loss.says)}
        </p>
      ))}
      <Folded losses={now.slice(TOLD)} says={(n) => `${n} more ${n === 1 ? "loss" : "losses"} now`} />
      <Folded losses={before} says={(n) => `${n} ${n === 1 ? "loss" : "losses"} before, none now`} />
    </>
  );
}

function Folded({ losses, says }: { losses: Loss[]; says: (count: number) => string }) {
  if (!losses.length) return null;
  return (
    <details class="banner">
      <summary>{says(losses.length)}</summary>
      {losses.map((loss) => (
        <p key={loss.says}>{inert(loss.says)}</p>
      ))}
    </details>
  );
}

const sentence = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
