import { useEffect, useState } from "preact/hooks";
import { get, send, told } from "../api";
import { inert } from "../format";
import { NewRule } from "./newrule";
import type { RuleState } from "./types";
import { lasting, origin, selects } from "./words";

const AGAIN_MS = 5_000;

/** What is wished for: every rule, those that can be changed here, and a new one. */
export function Rules() {
  const [rules, setRules] = useState<RuleState[]>();
  const [trouble, setTrouble] = useState("");
  const ask = async () => {
    try {
      setRules((await get<{ rules: RuleState[] }>("rules")).rules);
      setTrouble("");
    } catch (error) {
      setTrouble(told(error));
    }
  };
  useEffect(() => {
    void ask();
    const timer = setInterval(() => document.hidden || void ask(), AGAIN_MS);
    return () => clearInterval(timer);
  }, []);
  return (
    <section aria-label="Rules">
      <h3>Rules</h3>
      {trouble && <p class="trouble">{inert(trouble)}</p>}
      {rules && !rules.length && <p class="quiet">No rule is in force: connections and names only, no payload.</p>}
      <ul class="rules">
        {rules?.map((state) => (
          <RuleLine key={state.rule.name} state={state} onChanged={() => void ask()} />
        ))}
      </ul>
      <NewRule onMade={() => void ask()} />
    </section>
  );
}

function RuleLine({ state, onChanged }: { state: RuleState; onChanged: () => void }) {
  const { rule, pods = 0, nodes = 0, names = [], warnings = [], expires_in_s: left } = state;
  const [asked, setAsked] = useState(false);
  const [trouble, setTrouble] = useState("");
  const remove = async () => {
    try {
      await send("DELETE", `rules/${encodeURIComponent(rule.name)}`);
      onChanged();
    } catch (error) {
      setTrouble(told(error));
    }
    setAsked(false);
  };
  const shown = `${names.join(", ")}${pods > names.length ? `, and ${(pods - names.length).toLocaleString()} more` : ""}`;
  return (
    <li>
      <div class="rule-head">
        <b>{inert(rule.name)}</b>
        {rule.exclude && <span class="tag">never</span>}
        {rule.read_only && <span class="tag">read-only</span>}
        <span class="said">{inert(selects(rule))}</span>
        <span class="rule-do">
          {rule.read_only ? null : asked ? (
            <>
              <button class="danger" onClick={() => void remove()}>
                Really remove
              </button>{" "}
              <button onClick={() => setAsked(false)}>Keep</button>
            </>
          ) : (
            <button onClick={() => setAsked(true)} aria-label={`Remove ${inert(rule.name)}`}>
              Remove
            </button>
          )}
        </span>
      </div>
      <p class="quiet">
        {rule.target ? "" : `${pods.toLocaleString()} ${pods === 1 ? "pod" : "pods"} on ${nodes.toLocaleString()} ${nodes === 1 ? "node" : "nodes"}${shown ? ` (${inert(shown)})` : ""} · `}
        from {inert(origin(rule))}
        {left != null && ` · gone in ${lasting(left)}`}
      </p>
      {warnings.map((text) => (
        <p class="note warn" key={text}>
          {inert(text)}
        </p>
      ))}
      {trouble && <p class="trouble">{inert(trouble)}</p>}
    </li>
  );
}
