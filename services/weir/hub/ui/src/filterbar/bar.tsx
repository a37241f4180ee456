import "./filterbar.css";
import type { RefObject } from "preact";
import { useEffect, useState } from "preact/hooks";

interface Props {
  filter: string;
  input: RefObject<HTMLTextAreaElement | null>;
  onFilter: (text: string) => void;
}

export function FilterBar({ filter, input, onFilter }: Props) {
  const [typed, setTyped] = useState(filter);
  useEffect(() => setTyped(filter), [filter]);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    onFilter(typed.trim());
  };
  return (
    <form class="filter" role="search" onSubmit={(event) => event.preventDefault()}>
      <textarea ref={input} rows={1} aria-label="Filter" value={typed} onInput={(event) => setTyped(event.currentTarget.value)} onKeyDown={onKeyDown} />
      {filter && <button onClick={() => onFilter("")}>Clear</button>}
    </form>
  );
}
