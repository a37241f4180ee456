import { inert } from "../format";
import type { Completion, Option } from "../types";

interface Props {
  id: string;
  completion: Completion;
  active: number;
  onTake: (option: Option) => void;
}

export const optionId = (id: string, at: number) => `${id}-${at}`;

/** What is proposed, below the text that it would replace. */
export function Options({ id, completion, active, onTake }: Props) {
  return (
    <div
      class="options"
      role="listbox"
      id={id}
      aria-label="Proposals"
      ref={(element) => element?.style.setProperty("--at", `${Math.min(completion.start, 60)}ch`)}
    >
      {completion.options.map((option, at) => (
        <div
          key={`${option.kind} ${option.text}`}
          id={optionId(id, at)}
          role="option"
          aria-selected={at === active}
          ref={(element) => void (at === active && element?.scrollIntoView({ block: "nearest" }))}
          // The field keeps the focus.
          onMouseDown={(event) => event.preventDefault()}
          onClick={() => onTake(option)}
        >
          <span class="proposed">{inert(option.text)}</span>
          <span class="says">{inert(option.doc ?? "")}</span>
          <span class="kind">
            {option.count ? `${option.count.toLocaleString()} × ` : ""}
            {inert(option.kind)}
          </span>
        </div>
      ))}
    </div>
  );
}
