import { useState } from "preact/hooks";
import { inert } from "../format";
import { picks } from "./body/json";
import { negated } from "./clause";
import { Copy } from "./copy";

/** Rows and characters of a value that are shown at once: a message may have thousands. */
const ROWS = 100;
const WIDTH = 4_000;

export interface Pair {
  name: string;
  value: string;
  /** Selects entries with this value; without it the value cannot be filtered by. */
  condition?: string | undefined;
  /** Said behind the value. */
  more?: string;
}

interface Props {
  title: string;
  rows: Pair[];
  onFilter: (text: string) => void;
}

/** Names and values; a click on a value adds it to the filter. */
export function Pairs({ title, rows, onFilter }: Props) {
  const [all, setAll] = useState(false);
  const hidden = all ? 0 : rows.length - ROWS;
  return (
    <>
      <table class="pairs" aria-label={title}>
        <tbody>
          {(hidden > 0 ? rows.slice(0, ROWS) : rows).map((row, at) => (
            <tr key={`${at} ${row.name}`}>
              <th scope="row">{inert(row.name.slice(0, WIDTH))}</th>
              <td>
                <PairValue row={row} onFilter={onFilter} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {hidden > 0 && <button onClick={() => setAll(true)}>Show {hidden.toLocaleString()} more</button>}
    </>
  );
}

function PairValue({ row: { name, value, condition, more }, onFilter }: { row: Pair; onFilter: Props["onFilter"] }) {
  const add = (not: boolean) => condition && onFilter(not ? negated(condition) : condition);
  const beyond = value.length - WIDTH;
  const text = inert(beyond > 0 ? value.slice(0, WIDTH) : value) || "(empty)";
  return (
    <>
      {condition ? (
        <span class="value" title="Click: only these · with Shift: all others" onClick={(event) => picks() && add(event.shiftKey)}>
          {text}
        </span>
      ) : (
        <span>{text}</span>
      )}
      {beyond > 0 && <span class="quiet"> … {beyond.toLocaleString()} more characters</span>}
      {more && <span class="quiet"> {inert(more)}</span>}
      <span class="tools">
        {condition && (
          <button class="small beside" aria-label={`Filter by ${inert(name)}`} onClick={(event) => add(event.shiftKey)}>
            +
          </button>
        )}
        <Copy text={value} what={inert(name)} />
      </span>
    </>
  );
}
