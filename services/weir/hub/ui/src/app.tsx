import { useEffect, useMemo, useReducer, useRef, useState } from "preact/hooks";
import { Banners } from "./banners";
import { Chips } from "./chips";
import { columnsOf } from "./columns";
import { Empty } from "./empty";
import { Feed } from "./feed";
import { join, protocolsIn, quoted, toggled } from "./filter";
import { FilterBar } from "./filterbar/bar";
import { Header } from "./header";
import { Help } from "./help";
import { useFields, useHealth, useMissed, useProtocols } from "./hub";
import { useKeys } from "./keys";
import { lazy } from "./lazy";
import { List } from "./list";
import { Outline } from "./outline/outline";
import { HOME, ORDERS, VIEWS, same } from "./place";
import { TimeLine } from "./timeline/timeline";
import { usePlace } from "./useplace";

const Detail = lazy(() => import("./detail/view"));
const MapView = lazy(() => import("./map/view"));
const StateView = lazy(() => import("./state/view"));

export function App() {
  const [change, redraw] = useReducer<number, void>((n) => n + 1, 0);
  const [place, go] = usePlace();
  const feed = useMemo(() => new Feed(place, () => redraw()), []);
  const [help, setHelp] = useState(false);
  const bar = useRef<HTMLTextAreaElement>(null);
  const { health, refused, losses } = useHealth();
  useMissed(feed, losses);
  const fields = useFields();
  const protocols = useProtocols(fields);
  useEffect(() => () => feed.close(), []);
  useEffect(() => {
    if (!same(feed.asked, place)) feed.follow(place);
  }, [place]);

  const filterTo = (filter: string) => go({ filter, ...(place.view === "state" ? { view: "list" } : {}) });
  const add = (condition: string) => go((now) => ({ filter: join(now.filter, condition), view: "list" }));
  const select = (id: string) => go({ id });
  useKeys({
    find: () => bar.current?.focus(),
    pause: () => feed.pause(!feed.paused),
    // Keys may come faster than the page is drawn: what is chosen now is what the last key left.
    move: (step) =>
      go((now) => {
        if (now.view !== "list") return {};
        const age = now.id ? feed.ring.ageOf(now.id) : -1;
        return { id: feed.ring.at(age < 0 ? 0 : Math.max(0, age + step))?.id ?? now.id };
      }),
    escape: () => {
      if (help) setHelp(false);
      else if (document.activeElement === bar.current) bar.current?.blur();
      else go({ id: "" });
    },
    help: () => setHelp((shown) => !shown),
    failed: () => go((now) => ({ filter: toggled(now.filter, "failed"), view: "list" })),
    order: () => go((now) => ({ order: ORDERS[(ORDERS.indexOf(now.order) + 1) % ORDERS.length]!, view: "list" })),
    live: () => go({ since: "", until: "", order: "newest", view: "list" }),
    clear: () => go({ filter: "" }),
    time: () => {
      const button = document.getElementById("time");
      button?.focus();
      button?.click();
    },
    view: (at) => go({ view: VIEWS[at]! }),
  });

  // Columns change with the rows, not before them.
  const listed = useRef(place.filter);
  if (feed.loaded) listed.current = feed.asked.filter;
  const shown = protocolsIn(listed.current, protocols.flags);
  const columns = useMemo(() => columnsOf(shown.length === 1 ? shown[0] : undefined, fields), [shown.join(), fields]);
  const selected = place.view === "list" ? place.id : "";
  return (
    <div class={`page${selected ? " with-detail" : ""}`}>
      <Header feed={feed} place={place} go={go} health={health} onHelp={() => setHelp(!help)} />
      <FilterBar filter={place.filter} input={bar} onFilter={filterTo} />
      <Chips feed={feed} place={place} go={place.view === "state" ? (step) => go({ ...step, view: "list" }) : go} protocols={protocols} />
      <Banners feed={feed} health={health} trouble={refused} onState={place.view === "state" ? undefined : () => go({ view: "state" })} />
      {health.target?.outline && health.target.capture !== false && place.view === "list" && <Outline health={health} />}
      {place.view !== "state" && <TimeLine feed={feed} place={place} go={go} lost={losses.marks} outline={health.target?.outline ?? false} />}
      {place.view === "map" && (
        <main>
          <MapView filter={place.filter} since={place.since} until={place.until} onFilter={add} />
        </main>
      )}
      {place.view === "state" && (
        <main>
          <StateView health={health} onFilter={add} />
        </main>
      )}
      {place.view === "list" && (
        <main>
          {feed.ring.length === 0 ? (
            <Empty feed={feed} health={health} place={place} go={go} />
          ) : (
            <List feed={feed} change={change} columns={columns} selected={selected} onSelect={select} />
          )}
          {selected && (
            <Detail
              id={selected}
              known={feed.ring.get(selected)}
              onClose={() => go({ id: "" })}
              onFilter={add}
              onOpen={select}
              onFlow={(flow) => go({ ...HOME, filter: `flow_id == ${quoted(flow)}`, since: place.since, until: place.until })}
            />
          )}
        </main>
      )}
      {help && <Help onClose={() => setHelp(false)} />}
    </div>
  );
}
