import "./filterbar.css";
import type { RefObject } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { check } from "../api";
import { finding, isPlain } from "../filter";
import { inert } from "../format";
import type { Completion, FilterCheck, Option } from "../types";
import { useCheck, useComplete, useSaved } from "./hooks";
import { Kept } from "./kept";
import { Options, optionId } from "./options";
import { accepted, isWhole, pieces, recent, remember, unfinished, whole } from "./write";

const LIST = "proposals";
const LONGEST = 4096;
/** A hint that is a name to be put in the place of the wrong one. */
const NAME = /^[A-Za-z_][\w.]*$/;

interface Props {
  /** What is in force. */
  filter: string;
  input: RefObject<HTMLTextAreaElement | null>;
  onFilter: (text: string) => void;
}

/** Where a filter is written: it is checked and completed while one types, and taken with Enter. */
export function FilterBar({ filter, input, onFilter }: Props) {
  const [typed, setTyped] = useState(filter);
  const [chosen, setChosen] = useState<{ of?: Completion | undefined; at: number }>({ at: -1 });
  /** The text that was to be taken and is wrong. */
  const [refused, setRefused] = useState<{ text: string; verdict: FilterCheck }>();
  const [menu, setMenu] = useState(false);
  const caret = useRef<number>(undefined);
  const said = useCheck(typed);
  const { completion, ask, close, show } = useComplete();
  const { kept, load } = useSaved();
  // Before anything else can be typed: an effect that ran later would take that away.
  useLayoutEffect(() => setTyped(filter), [filter]);
  useLayoutEffect(() => {
    if (caret.current !== undefined) input.current?.setSelectionRange(caret.current, caret.current);
    caret.current = undefined;
  }, [typed]);

  // What was chosen of other proposals is not chosen of these.
  const active = chosen.of === completion ? chosen.at : -1;
  const verdict = refused?.text === typed ? refused.verdict : said;
  const shown = verdict && !verdict.ok && (refused?.text === typed || typed === filter || !unfinished(typed, verdict)) ? verdict : undefined;

  const name = shown?.hint && NAME.test(shown.hint) && shown.length ? shown.hint : "";
  const mend = (name: string) => {
    const start = shown!.position ?? 0;
    const made = accepted(typed, { start, end: start + (shown!.length ?? 0), options: [] }, { text: name, kind: "variable" });
    caret.current = made.at;
    setTyped(made.text);
    input.current?.focus();
  };
  const take = async (text: string) => {
    close();
    let wanted = text.trim();
    if (wanted && wanted !== filter) {
      // A hub that cannot be asked will say when it is asked for entries.
      const verdict = await check(wanted).catch(() => undefined);
      if (verdict && !verdict.ok && isPlain(wanted)) wanted = finding(wanted);
      else if (verdict && !verdict.ok) {
        setRefused({ text, verdict });
        return;
      }
    }
    remember(globalThis.localStorage, wanted);
    setTyped(wanted);
    onFilter(wanted);
  };
  const pick = (option: Option) => {
    input.current?.focus();
    if (isWhole(option)) {
      setTyped(option.text);
      void take(option.text);
      return;
    }
    const made = accepted(typed, completion!, option);
    caret.current = made.at;
    setTyped(made.text);
    ask(made.text, made.at);
  };
  const propose = (text: string, at: number, wait?: number) => {
    if (text.trim()) ask(text, at, wait);
    else {
      close();
      show(whole(kept, recent(globalThis.localStorage)));
    }
  };
  const onInput = (event: Event) => {
    const field = event.currentTarget as HTMLTextAreaElement;
    const text = field.value.replace(/[\r\n]+/g, " ");
    setTyped(text);
    propose(text, field.selectionStart);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const done = keyed(event.key, { ctrl: event.ctrlKey, count: completion?.options.length ?? 0, active, changed: typed !== filter });
    if (!done) return;
    event.preventDefault();
    if (done === "take") void take(typed);
    else if (done === "pick") pick(completion!.options[Math.max(active, 0)]!);
    else if (done === "propose") propose(typed, input.current!.selectionStart, 0);
    else if (done === "close") close();
    else if (done === "back") setTyped(filter);
    else setChosen({ of: completion, at: done.active });
  };
  return (
    <form class="filter" role="search" onSubmit={(event) => event.preventDefault()}>
      <div class={`field${shown ? " wrong" : ""}`}>
        <div class="mirror" aria-hidden="true">
          {pieces(typed, shown).map((piece, at) => (
            <span key={at} class={`t-${piece.kind}${piece.wrong ? " fault" : ""}`}>
              {piece.text}
            </span>
          ))}
          {"\u200b"}
        </div>
        <textarea
          ref={input}
          rows={1}
          aria-label="Filter"
          aria-haspopup="listbox"
          aria-controls={LIST}
          aria-autocomplete="list"
          aria-activedescendant={completion && active >= 0 ? optionId(LIST, active) : undefined}
          aria-invalid={shown !== undefined}
          aria-describedby="filter-says"
          placeholder="Filter, e.g. failed && dst.name == &quot;checkout&quot;, or words to find   ( / )"
          spellcheck={false}
          autocomplete="off"
          autocapitalize="off"
          maxLength={LONGEST}
          value={typed}
          onInput={onInput}
          onKeyDown={onKeyDown}
          onFocus={() => typed || propose("", 0)}
          onClick={() => typed || propose("", 0)}
          onBlur={close}
        />
        {typed !== filter && (
          <button class="plain enter" onClick={() => void take(typed)} title="Take this filter">
            Enter ↵
          </button>
        )}
      </div>
      <button class="clear" aria-label="Clear the filter" disabled={!typed && !filter} onClick={() => void take("")}>
        Clear
      </button>
      <span class="holder">
        <button type="button" aria-expanded={menu} aria-haspopup="dialog" onClick={() => setMenu(!menu)}>
          ☆ Saved
        </button>
        {menu && (
          <Kept
            filter={filter}
            kept={kept}
            onChange={load}
            onClose={() => setMenu(false)}
            onTake={(text) => {
              setMenu(false);
              void take(text);
            }}
          />
        )}
      </span>
      {completion && <Options id={LIST} completion={completion} active={active} onTake={pick} />}
      <p id="filter-says" class="filter-says" aria-live="polite">
        {shown && (
          <>
            <b>{inert(shown.error ?? "")}</b>{" "}
            {name ? (
              <button class="plain" onClick={() => mend(name)}>
                did you mean {name}?
              </button>
            ) : (
              inert(shown.hint ?? "")
            )}
          </>
        )}
      </p>
    </form>
  );
}

type Done = "take" | "pick" | "propose" | "close" | "back" | { active: number } | undefined;

/** What a key does in the field; nothing where it is the field's own. */
export function keyed(key: string, now: { ctrl: boolean; count: number; active: number; changed: boolean }): Done {
  const { count, active } = now;
  if (key === " " && now.ctrl) return "propose";
  if (now.ctrl) return undefined;
  if (key === "Enter") return count && active >= 0 ? "pick" : "take";
  if (key === "Tab") return count ? "pick" : undefined;
  if (key === "Escape") return count ? "close" : now.changed ? "back" : undefined;
  if (key === "ArrowDown") return count ? { active: (active + 1) % count } : "propose";
  if (key === "ArrowUp") return count ? { active: active <= 0 ? count - 1 : active - 1 } : undefined;
  return undefined;
}
