import type { Entry } from "./types";
import View from "./detail/view";

interface Props {
  id: string;
  known: Entry | undefined;
  onClose: () => void;
  onFlow: (flow: string) => void;
}

/** The detail before the filter bar can take a condition from it. */
export const Detail = (props: Props) => <View {...props} onFilter={() => undefined} />;
