import { useEffect, useMemo, useReducer, useRef, useState } from "preact/hooks";
import { ApiError, health as askHealth, told } from "./api";
import { Banners } from "./banners";
import { Detail } from "./detail";
import { Feed } from "./feed";
import { narrowed } from "./filter";
import { Header } from "./header";
import { KEYS, useKeys } from "./keys";
import { List } from "./list";
import type { Health } from "./types";

const HEALTH_MS = 3000;

export function App() {
  const [change, redraw] = useReducer<number, void>((n) => n + 1, 0);
  const feed = useMemo(() => new Feed(() => redraw()), []);
  const [selected, setSelected] = useState<string>();
  const [help, setHelp] = useState(false);
  const search = useRef<HTMLInputElement>(null);
  const { health, refused } = useHealth();
  useEffect(() => () => feed.close(), []);

  useKeys({
    find: () => search.current?.focus(),
    pause: () => feed.pause(!feed.paused),
    // Keys may come faster than the page is drawn: what is chosen now is what the last key left.
    move: (step) =>
      setSelected((now) => {
        const age = now ? feed.ring.ageOf(now) : -1;
        return feed.ring.at(age < 0 ? 0 : Math.max(0, age + step))?.id ?? now;
      }),
    escape: () => {
      setHelp(false);
      if (document.activeElement === search.current) search.current?.blur();
      else setSelected(undefined);
    },
    help: () => setHelp((shown) => !shown),
  });

  const followFlow = (flow: string) => {
    setSelected(undefined);
    feed.follow({ ...feed.filter, flow });
  };
  return (
    <div class={`page${selected ? " with-detail" : ""}`}>
      <Header feed={feed} search={search} onHelp={() => setHelp(!help)} />
      <Banners feed={feed} health={health} trouble={refused} />
      <main>
        {feed.ring.length === 0 ? (
          <Empty feed={feed} health={health} />
        ) : (
          <List feed={feed} change={change} selected={selected} onSelect={setSelected} />
        )}
        {selected && (
          <Detail id={selected} known={feed.ring.get(selected)} onClose={() => setSelected(undefined)} onFlow={followFlow} />
        )}
      </main>
      {help && <Help />}
    </div>
  );
}

/** The installation's health, asked for now and then; `refused` says why the hub does not let this page in. */
function useHealth() {
  const [health, setHealth] = useState<Health>({});
  const [refused, setRefused] = useState("");
  useEffect(() => {
    const ask = async () => {
      try {
        setHealth(await askHealth());
        setRefused("");
      } catch (error) {
        if (error instanceof ApiError) setRefused(told(error));
      }
    };
    void ask();
    const timer = setInterval(() => void ask(), HEALTH_MS);
    return () => clearInterval(timer);
  }, []);
  return { health, refused };
}

function Help() {
  return (
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
      <p class="quiet">
        ✓ went well, ✕ failed, ◌ something is missing. Connections whose calls are listed are shown with tcp or udp.
      </p>
    </dialog>
  );
}

function Empty({ feed, health }: { feed: Feed; health: Health }) {
  return <p class="empty">{why(feed, health)}</p>;
}

function why(feed: Feed, health: Health): string {
  if (feed.connection === "lost") return "The hub does not answer. Is weir still running?";
  if (narrowed(feed.filter)) return "Nothing matches. Take a condition away, or wait.";
  if (feed.paused) return "Paused. Press Start to see what comes.";
  if (health.target?.outline) return "No connection has been opened or closed yet.";
  return "Nothing has been seen yet. `weir status` tells what is captured.";
}
