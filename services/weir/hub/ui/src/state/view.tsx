import { inert } from "../format";
import type { Health } from "../types";

interface Props {
  health: Health;
  /** Joins a condition to the filter and shows the list. */
  onFilter: (text: string) => void;
}

export default function StateView({ health }: Props) {
  return (
    <section class="state-view" aria-label="State of weir">
      <h2>{inert(health.verdict ?? "unknown")}</h2>
      {health.says?.map((text) => <p>{inert(text)}</p>)}
      {health.losses?.map((loss) => <p>{inert(loss.says)}</p>)}
    </section>
  );
}
