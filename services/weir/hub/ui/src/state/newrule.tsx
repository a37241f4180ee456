import { useEffect, useState } from "preact/hooks";
import { dropped, preview, send, told } from "../api";
import { inert } from "../format";
import type { Preview, RuleWish } from "../types";
import { Megabytes } from "./cost";
import type { PodRate, Rate } from "./types";
import { lasting } from "./words";
import { type Draft, EMPTY, wishOf } from "./wish";

const TYPING_MS = 350;
/** Pods of a preview that are named. */
const NAMED = 8;
const FIELDS: [keyof Draft & string, string, string][] = [
  ["namespaces", "Namespaces", "shop, infra"],
  ["workload", "Workload", "deployment/checkout"],
  ["service", "Service", "shop/pay"],
  ["pod", "Pod (regular expression)", "checkout-.*"],
  ["labels", "Labels", "app=web,tier in (a, b)"],
  ["node", "Node", "worker-1"],
  ["exclude_namespaces", "But not in namespaces", "kube-system"],
  ["port", "Port", "8080"],
  ["target", "Or no pods: address, port, all", "10.0.0.0/8"],
];
const TIMES: [number, string][] = [
  [900, "for 15 minutes"],
  [3_600, "for 1 hour"],
  [28_800, "for 8 hours"],
  [0, "until it is removed"],
];

/** A rule to be: what it would select and cost is told while it is written. */
export function NewRule({ onMade }: { onMade: () => void }) {
  const [open, setOpen] = useState(false);
  const [draft, setDraft] = useState<Draft>({ ...EMPTY, for_s: 3_600 });
  const [trouble, setTrouble] = useState("");
  const wish = wishOf(draft);
  const change = (part: Partial<Draft>) => setDraft((now) => ({ ...now, ...part }));
  const make = async (event: Event) => {
    event.preventDefault();
    if (!wish) return;
    try {
      await send("POST", "rules", wish);
      setDraft({ ...EMPTY, for_s: 3_600 });
      setOpen(false);
      setTrouble("");
      onMade();
    } catch (error) {
      setTrouble(told(error));
    }
  };
  if (!open) return <button onClick={() => setOpen(true)}>Add a rule</button>;
  return (
    <form class="new-rule" aria-label="New rule" onSubmit={(event) => void make(event)}>
      <p class="quiet">Pods that fit everything that is filled in are read whole: requests, responses, bodies. What is left empty does not narrow.</p>
      <div class="fields">
        {FIELDS.map(([name, title, example]) => (
          <label key={name}>
            <span>{title}</span>
            <input type="text" value={String(draft[name])} placeholder={example} autocomplete="off" spellcheck={false} onInput={(event) => change({ [name]: event.currentTarget.value })} />
          </label>
        ))}
        <label>
          <span>Name</span>
          <input type="text" value={draft.name} placeholder={wish?.name ?? "rule"} autocomplete="off" spellcheck={false} onInput={(event) => change({ name: event.currentTarget.value })} />
        </label>
        <label>
          <span>How long</span>
          <select value={String(draft.for_s)} onChange={(event) => change({ for_s: Number(event.currentTarget.value) })}>
            {TIMES.map(([seconds, title]) => (
              <option key={seconds} value={String(seconds)}>
                {title}
              </option>
            ))}
          </select>
        </label>
        <label class="check">
          <input type="checkbox" checked={draft.exclude} onChange={(event) => change({ exclude: event.currentTarget.checked })} />
          <span>Never read these, whatever other rules say</span>
        </label>
      </div>
      {wish ? <Previewed wish={wish} /> : <p class="quiet">Fill in something to see what it would select.</p>}
      {trouble && <p class="trouble">{inert(trouble)}</p>}
      <p class="actions">
        <button class="primary" disabled={!wish}>
          Add this rule
        </button>{" "}
        <button type="button" onClick={() => setOpen(false)}>
          Cancel
        </button>
      </p>
    </form>
  );
}

/** What the hub says of a wish, a moment after it was typed. */
function usePreview(wish: RuleWish) {
  const [seen, setSeen] = useState<Preview & { listed?: PodRate[] }>();
  const [trouble, setTrouble] = useState("");
  const text = JSON.stringify(wish);
  useEffect(() => {
    let current = true;
    const timer = setTimeout(async () => {
      try {
        const found = await preview(JSON.parse(text) as RuleWish);
        if (current) setSeen(found);
        if (current) setTrouble("");
      } catch (error) {
        if (current && !dropped(error)) setTrouble(told(error));
      }
    }, TYPING_MS);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [text]);
  return { seen, trouble };
}

function Previewed({ wish }: { wish: RuleWish }) {
  const { seen, trouble } = usePreview(wish);
  if (trouble) return <p class="trouble">{inert(trouble)}</p>;
  if (!seen) return <p class="quiet">…</p>;
  const { pods, fresh, listed = [], mb_per_s, gb_per_day, over_s, warnings, nodes } = seen;
  const above = (nodes as Rate[]).filter((one) => one.above);
  return (
    <div class="preview" role="status" aria-label="Preview">
      {!wish.target && (
        <p>
          <b>{pods.toLocaleString()}</b> {pods === 1 ? "pod" : "pods"}, <b>{fresh.toLocaleString()}</b> of them not read yet
        </p>
      )}
      <p>
        {over_s ? (
          <>
            about <Megabytes perSecond={mb_per_s} perDay={gb_per_day} /> <span class="quiet">by the flows of the last {lasting(over_s)}</span>
          </>
        ) : (
          <span class="quiet">what it would cost is not known yet: no flows were seen</span>
        )}
      </p>
      {listed.length > 0 && (
        <p class="quiet">
          {inert(listed.slice(0, NAMED).map(({ pod, mb_per_s: rate }) => (rate ? `${pod} (${rate.toPrecision(2)} MB/s)` : pod)).join(", "))}
          {pods > NAMED && `, and ${(pods - NAMED).toLocaleString()} more`}
        </p>
      )}
      {warnings.map((text) => (
        <p class="note warn" key={text}>
          {inert(text)}
        </p>
      ))}
      {above.length > 0 && !warnings.length && <p class="note warn">{inert(above.map(({ node }) => node).join(", "))} would be above the ceiling.</p>}
    </div>
  );
}
