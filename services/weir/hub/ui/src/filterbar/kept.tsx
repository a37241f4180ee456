import { useEffect, useRef, useState } from "preact/hooks";
import { forget, save, told } from "../api";
import { inert } from "../format";
import { Popover } from "../popover";
import type { Saved } from "../types";

interface Props {
  filter: string;
  kept: Saved[];
  onChange: () => Promise<unknown>;
  onTake: (text: string) => void;
  onClose: () => void;
}

/** Filters with a name: taken, kept and forgotten here. */
export function Kept({ filter, kept, onChange, onTake, onClose }: Props) {
  const [trouble, setTrouble] = useState("");
  const attempt = async (change: Promise<unknown>) => {
    try {
      await change;
      setTrouble("");
      await onChange();
    } catch (error) {
      setTrouble(told(error));
    }
  };
  return (
    <Popover label="Saved filters" onClose={onClose}>
      {kept.length === 0 && <p class="quiet">No filter has been saved yet. Everybody who uses this weir sees what is saved here.</p>}
      <ul>
        {kept.map((one) => (
          <li key={one.name}>
            <button class="take" onClick={() => onTake(one.text)} title={inert(one.text)}>
              <b>{inert(one.name)}</b> {one.macro && <span class="kind">macro</span>}
              <span class="proposed">{inert(one.text)}</span>
            </button>
            <button aria-label={`Forget ${inert(one.name)}`} onClick={() => void attempt(forget(one.name))}>
              ×
            </button>
          </li>
        ))}
      </ul>
      {filter ? <Keep filter={filter} onKeep={(name, macro) => attempt(save(name, filter, macro))} /> : <p class="quiet">Write a filter to save it.</p>}
      {trouble && (
        <p class="trouble" role="alert">
          {inert(trouble)}
        </p>
      )}
    </Popover>
  );
}

const NAME = /^[A-Za-z_]\w{0,63}$/;

function Keep({ filter, onKeep }: { filter: string; onKeep: (name: string, macro: boolean) => Promise<void> }) {
  const [name, setName] = useState("");
  const [macro, setMacro] = useState(true);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  const right = NAME.test(name);
  const onSubmit = (event: Event) => {
    event.preventDefault();
    if (right) void onKeep(name, macro).then(() => setName(""));
  };
  return (
    <form onSubmit={onSubmit}>
      <p class="proposed quiet">{inert(filter)}</p>
      <label>
        Name <input ref={field} value={name} maxLength={64} placeholder="slow_checkout" onInput={(event) => setName(event.currentTarget.value)} />
      </label>{" "}
      <button disabled={!right}>Save</button>
      <label class="line">
        <input type="checkbox" checked={macro} onChange={(event) => setMacro(event.currentTarget.checked)} /> usable by its name in other filters
      </label>
      {name && !right && <p class="quiet">A name is of letters, digits and _, and begins with a letter.</p>}
    </form>
  );
}
