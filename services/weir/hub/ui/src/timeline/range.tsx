import { useState } from "preact/hooks";
import { clock, day } from "../format";
import type { Place } from "../place";
import { Popover } from "../popover";
import { around, bounds, momentOf, timeOf } from "./window";

const PRESETS: [string, string][] = [
  ["5m", "5 minutes"], ["15m", "15 minutes"], ["1h", "hour"], ["6h", "6 hours"], ["1d", "day"], ["7d", "7 days"],
];

/** What time is shown, in few words. */
export function named({ since, until }: Pick<Place, "since" | "until">, now: number): string {
  if (!since && !until) return "All time";
  const preset = PRESETS.find(([age]) => age === since && !until);
  if (preset) return `Last ${preset[1]}`;
  const text = (value: string) => {
    const time = timeOf(value, now);
    return time === undefined ? value : `${day(time * 1e6, now)}${clock(time * 1e6).slice(0, 8)}`;
  };
  if (!until) return `Since ${text(since)}`;
  return since ? `${text(since)} – ${text(until)}` : `Until ${text(until)}`;
}

/** Chooses the time: the last so much of it, live; or a moment of the past. */
export function Range({ place, go }: { place: Place; go: (step: Partial<Place>) => void }) {
  const [open, setOpen] = useState(false);
  const [typed, setTyped] = useState("");
  const moment = momentOf(typed, Date.now());
  const choose = (since: string, until = "") => {
    setOpen(false);
    setTyped("");
    go({ since, until });
  };
  const onSubmit = (event: Event) => {
    event.preventDefault();
    if (moment === undefined) return;
    const { since, until } = bounds(around(moment));
    choose(since, until);
  };
  return (
    <span class="holder time-range">
      <button id="time" type="button" aria-haspopup="dialog" aria-expanded={open} onClick={() => setOpen(!open)}>
        ◷ {named(place, Date.now())}
      </button>
      {open && (
        <Popover label="Time" onClose={() => setOpen(false)}>
          <div class="presets" role="group" aria-label="The last">
            <button aria-pressed={!place.since && !place.until} onClick={() => choose("")}>
              All, live
            </button>
            {PRESETS.map(([age, name]) => (
              <button key={age} aria-pressed={place.since === age && !place.until} onClick={() => choose(age)}>
                {name}
              </button>
            ))}
          </div>
          <form onSubmit={onSubmit}>
            <label>
              Jump to <input value={typed} placeholder="03:12, 20m, 2026-01-31T03:12Z" onInput={(event) => setTyped(event.currentTarget.value)} />
            </label>{" "}
            <button disabled={moment === undefined}>Go</button>
            <p class="quiet">
              {typed && moment === undefined
                ? "A time of day, an age, or a day with its time is expected."
                : moment !== undefined
                  ? `Half a minute around ${day(moment * 1e6)}${clock(moment * 1e6).slice(0, 8)}`
                  : "Or drag over the time line."}
            </p>
          </form>
        </Popover>
      )}
    </span>
  );
}
