import { useCallback, useEffect, useReducer, useRef, useState } from "preact/hooks";
import { ApiError, type Connection, Tail, health as askHealth, recent } from "./api";
import { Detail } from "./detail";
import { List } from "./list";
import { Ring } from "./ring";
import type { Filter, Health, TailMessage } from "./types";

const KEPT = 50_000;
const PROTOCOLS = ["http", "grpc", "dns", "tls", "tcp", "udp"];
const KEYS: [string, string][] = [
  ["/", "find text"],
  ["Space", "pause, go on"],
  ["↑ ↓", "previous, next entry"],
  ["Escape", "close the entry"],
  ["?", "this sheet"],
];

export function App() {
  const ring = useRef(new Ring(KEPT)).current;
  const tail = useRef<Tail>(null);
  const added = useRef(0);
  const [change, redraw] = useReducer((n: number) => n + 1, 0);
  const [filter, setFilter] = useState<Filter>({ protocol: [], text: "" });
  const [paused, setPaused] = useState(false);
  const [state, setState] = useState<Connection>("connecting");
  const [selected, setSelected] = useState<string>();
  const [counts, setCounts] = useState({ matched: 0, shown: 0, missed: 0 });
  const [health, setHealth] = useState<Health>({});
  const [trouble, setTrouble] = useState("");
  const [help, setHelp] = useState(false);
  const search = useRef<HTMLInputElement>(null);

  const load = useCallback(async (wanted: Filter) => {
    try {
      const page = await recent(wanted, 200);
      ring.clear();
      ring.add(page.entries.reverse());
      added.current = 0;
      setTrouble("");
    } catch (error) {
      setTrouble(error instanceof ApiError ? `${error.message}. ${error.hint}` : "The hub does not answer.");
    }
    redraw(undefined as never);
  }, []);

  useEffect(() => {
    const onMessage = (message: TailMessage) => {
      if (message.error) {
        setTrouble(`${message.error}. ${message.hint ?? ""}`);
        return;
      }
      added.current = ring.add(message.entries ?? []);
      setCounts((c) => ({
        matched: c.matched + (message.matched ?? 0),
        shown: c.shown + (message.shown ?? 0),
        missed: c.missed + (message.missed ?? 0),
      }));
      redraw(undefined as never);
    };
    void load(filter);
    tail.current = new Tail(filter, onMessage, setState);
    return () => tail.current?.close();
  }, []);

  useEffect(() => {
    const ask = () => askHealth().then(setHealth, () => undefined);
    void ask();
    const timer = setInterval(ask, 3000);
    return () => clearInterval(timer);
  }, []);

  const change_filter = (wanted: Filter) => {
    setFilter(wanted);
    setCounts({ matched: 0, shown: 0, missed: 0 });
    tail.current?.follow(wanted);
    void load(wanted);
  };
  const pause = (wanted: boolean) => {
    setPaused(wanted);
    tail.current?.pause(wanted);
    if (!wanted) void load(filter);
  };

  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const typing = event.target instanceof HTMLInputElement;
      if (event.key === "Escape") {
        setHelp(false);
        setSelected(undefined);
        search.current?.blur();
      } else if (typing || event.ctrlKey || event.metaKey || event.altKey) {
        return;
      } else if (event.key === "/") {
        event.preventDefault();
        search.current?.focus();
      } else if (event.key === " " && !(event.target instanceof HTMLButtonElement)) {
        event.preventDefault();
        pause(!paused);
      } else if (event.key === "?") {
        setHelp(!help);
      } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        const age = selected ? ring.ageOf(selected) : -1;
        setSelected(ring.at(Math.max(0, age + (event.key === "ArrowDown" ? 1 : -1)))?.id ?? selected);
      }
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  });

  const toggle = (protocol: string) => {
    const on = filter.protocol.includes(protocol);
    change_filter({ ...filter, protocol: on ? filter.protocol.filter((p) => p !== protocol) : [...filter.protocol, protocol] });
  };

  return (
    <div class={`page${selected ? " with-detail" : ""}`}>
      <header>
        <strong class="brand">weir</strong>
        <span class={`state ${paused ? "paused" : state}`} role="status">
          {paused ? "paused" : state === "lost" ? "connection lost, trying again" : state}
        </span>
        <button onClick={() => pause(!paused)} aria-pressed={paused}>
          {paused ? "Start" : "Pause"}
        </button>
        <input
          ref={search}
          type="search"
          placeholder="Find text  ( / )"
          aria-label="Find text"
          value={filter.text}
          onChange={(event) => change_filter({ ...filter, text: event.currentTarget.value })}
        />
        <span class="chips" role="group" aria-label="Protocols">
          {PROTOCOLS.map((protocol) => (
            <button class="chip" aria-pressed={filter.protocol.includes(protocol)} onClick={() => toggle(protocol)}>
              {protocol}
            </button>
          ))}
        </span>
        <span class="counts" title="since this filter was set">
          {counts.matched.toLocaleString()} matched, {counts.shown.toLocaleString()} shown
        </span>
        <button class="chip" onClick={() => setHelp(!help)} aria-label="Keys">
          ?
        </button>
      </header>
      <Banners health={health} missed={counts.missed} trouble={trouble} />
      <main>
        {ring.length === 0 ? (
          <Empty state={state} health={health} filtered={filter.protocol.length > 0 || filter.text !== ""} />
        ) : (
          <List ring={ring} change={change} added={added.current} selected={selected} onSelect={setSelected} />
        )}
        {selected && <Detail id={selected} onClose={() => setSelected(undefined)} />}
      </main>
      {help && (
        <dialog open class="help" aria-label="Keys">
          <table>
            <tbody>
              {KEYS.map(([key, text]) => (
                <tr>
                  <th scope="row">
                    <kbd>{key}</kbd>
                  </th>
                  <td>{text}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </dialog>
      )}
    </div>
  );
}

function Banners({ health, missed, trouble }: { health: Health; missed: number; trouble: string }) {
  return (
    <div class="banners" aria-live="polite">
      {trouble && <p class="banner bad">{trouble}</p>}
      {health.target?.says && <p class="banner">{health.target.says}</p>}
      {health.losses?.map((loss) => <p class="banner bad">{loss.says}</p>)}
      {missed > 0 && <p class="banner bad">This page was too slow for {missed.toLocaleString()} entries; history has them.</p>}
      {health.says?.map((text) => <p class="banner">{text}</p>)}
    </div>
  );
}

function Empty({ state, health, filtered }: { state: Connection; health: Health; filtered: boolean }) {
  if (state === "lost") return <p class="empty">The hub does not answer. Is weir still running?</p>;
  if (filtered) return <p class="empty">Nothing matches. Take a condition away, or wait.</p>;
  if (health.target?.outline) return <p class="empty">No connection has been opened or closed yet.</p>;
  return <p class="empty">Nothing has been seen yet. `weir status` tells what is captured.</p>;
}
