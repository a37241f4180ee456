import type { RefObject } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Feed } from "./feed";
import { type Filter, PROTOCOLS } from "./filter";

const TYPING_MS = 200;
const LONGEST_TEXT = 512;

interface Props {
  feed: Feed;
  search: RefObject<HTMLInputElement | null>;
  onHelp: () => void;
}

export function Header({ feed, search, onHelp }: Props) {
  const { filter, paused, connection, counts } = feed;
  // What is found comes a moment after it was typed: the rest of the filter may be another by then.
  const change = (part: Partial<Filter>) => feed.follow({ ...feed.filter, ...part });
  const toggle = (name: string) => {
    const { protocol } = feed.filter;
    change({ protocol: protocol.includes(name) ? protocol.filter((one) => one !== name) : [...protocol, name] });
  };
  const state = connection === "lost" ? "lost" : paused ? "paused" : connection;
  return (
    <header>
      <strong class="brand">weir</strong>
      <span class={`state ${state}`} role="status">
        {state === "lost" ? "connection lost, trying again" : state}
      </span>
      <button class="pause" onClick={() => feed.pause(!paused)}>
        {paused ? "Start" : "Pause"}
      </button>
      <Find search={search} text={filter.text} onFind={(text) => change({ text })} />
      <span class="chips" role="group" aria-label="Only these">
        {PROTOCOLS.map((name) => (
          <Chip key={name} on={filter.protocol.includes(name)} onClick={() => toggle(name)}>
            {name}
          </Chip>
        ))}
        <Chip on={filter.failed} onClick={() => change({ failed: !filter.failed })}>
          failed
        </Chip>
        {filter.flow && (
          <Chip on onClick={() => change({ flow: "" })}>
            one conversation ×
          </Chip>
        )}
      </span>
      <span class="counts" title="live entries since this filter was set">
        {counts.matched.toLocaleString()} live
        {counts.shown < counts.matched && <b>, of which {counts.shown.toLocaleString()} are shown: too many a second</b>}
      </span>
      <button class="chip help-button" onClick={onHelp} aria-label="Keys">
        ?
      </button>
    </header>
  );
}

function Chip(props: { on: boolean; onClick: () => void; children: preact.ComponentChildren }) {
  return (
    <button class="chip" aria-pressed={props.on} onClick={props.onClick}>
      {props.children}
    </button>
  );
}

/** Finds while one types, after a moment of rest. */
function Find({ search, text, onFind }: { search: RefObject<HTMLInputElement | null>; text: string; onFind: (text: string) => void }) {
  const [typed, setTyped] = useState(text);
  useEffect(() => {
    if (typed === text) return;
    const timer = setTimeout(() => onFind(typed), TYPING_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  return (
    <input
      ref={search}
      type="search"
      placeholder="Find text  ( / )"
      aria-label="Find text"
      maxLength={LONGEST_TEXT}
      value={typed}
      onInput={(event) => setTyped(event.currentTarget.value)}
    />
  );
}
