import { useEffect, useMemo, useState } from "preact/hooks";
import { inert } from "../../format";
import { CLOSE, JsonLines, type Line, OPEN } from "./layout";
import { Rows } from "./rows";

const SLICE = 200_000;
/** Characters of a value that a line shows. */
const WIDTH = 2_000;
const DEEPEST_INDENT = 20;

interface Props {
  text: string;
  label: string;
  /** Adds what a line says to the filter. */
  onPick: (source: string, not: boolean) => void;
  /** It is no JSON after all. */
  onBroken: () => void;
}

/** Lays the text out without holding the page up: a slice of it, then whatever else is to do. */
function useLines(text: string): JsonLines | undefined {
  const lines = useMemo(() => new JsonLines(text), [text]);
  const [done, setDone] = useState<JsonLines>();
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const go = () => {
      if (lines.step(SLICE)) setDone(lines);
      else timer = setTimeout(go);
    };
    go();
    return () => clearTimeout(timer);
  }, [lines]);
  return done === lines ? lines : undefined;
}

export function Json({ text, label, onPick, onBroken }: Props) {
  const lines = useLines(text);
  const [folded, setFolded] = useState<ReadonlySet<number>>(new Set());
  useEffect(() => setFolded(new Set()), [lines]);
  useEffect(() => {
    if (lines?.end === "broken") onBroken();
  }, [lines]);
  const seen = useMemo(() => lines?.visible(folded), [lines, folded]);
  if (!lines || !seen) return <p class="quiet">Laying out…</p>;
  const toggle = (at: number) => {
    const next = new Set(folded);
    if (!next.delete(at)) next.add(at);
    setFolded(next);
  };
  const inner = lines.opening(1);
  return (
    <>
      {inner.length > 0 && (
        <p class="folding">
          <button onClick={() => setFolded(new Set(inner))}>Fold</button> <button onClick={() => setFolded(new Set())}>Unfold</button>
        </p>
      )}
      <Rows
        label={label}
        count={seen.length}
        line={(at) => {
          const index = seen[at]!;
          return <JsonLine key={index} lines={lines} index={index} folded={folded.has(index)} onFold={toggle} onPick={onPick} />;
        }}
      />
      {lines.end === "unfinished" && <p class="note">The text ends here; what was to follow was not kept.</p>}
      {lines.end === "long" && <p class="note">Only the first {lines.length.toLocaleString()} lines are laid out. “Text” has them all.</p>}
    </>
  );
}

interface LineProps {
  lines: JsonLines;
  index: number;
  folded: boolean;
  onFold: (index: number) => void;
  onPick: Props["onPick"];
}

function JsonLine({ lines, index, folded, onFold, onPick }: LineProps) {
  const line = lines.line(index);
  const opens = line.kind === OPEN;
  const end = opens && folded ? lines.line(lines.mate(index)) : undefined;
  return (
    <div class="line" style={{ paddingLeft: `${(Math.min(line.depth, DEEPEST_INDENT) + 1) * 2}ch` }}>
      {opens && (
        <button class="fold" aria-expanded={!folded} aria-label={folded ? "Unfold" : "Fold"} onClick={() => onFold(index)}>
          {folded ? "▸" : "▾"}
        </button>
      )}
      {line.key && (
        <>
          <span class="key">{inert(cut(line.key))}</span>:{" "}
        </>
      )}
      {line.kind === CLOSE || opens ? line.value : <Value line={line} onPick={onPick} />}
      {end && (
        <span class="quiet">
          {" "}
          {counted(lines.within(index), line.value)} {end.kind === CLOSE ? end.value : ""}
        </span>
      )}
      {(end ?? line).comma && ","}
    </div>
  );
}

function Value({ line, onPick }: { line: Line; onPick: Props["onPick"] }) {
  const hidden = line.value.length - WIDTH;
  return (
    <>
      <span class={`value ${look(line.value)}`} title="Click: only bodies with this · with Shift: all others" onClick={(event) => picks() && onPick(line.source, event.shiftKey)}>
        {inert(cut(line.value))}
      </span>
      {hidden > 0 && <span class="quiet"> … {hidden.toLocaleString()} more characters</span>}
    </>
  );
}

/** Who marks text to copy it does not click. */
export const picks = () => !getSelection()?.toString();

const cut = (text: string) => (text.length > WIDTH ? text.slice(0, WIDTH) : text);
const counted = (n: number, bracket: string) => `${n.toLocaleString()} ${bracket === "{" ? "key" : "item"}${n === 1 ? "" : "s"}`;
const look = (value: string) => (value.startsWith('"') ? "text" : /^[-\d]/.test(value) ? "number" : "word");
