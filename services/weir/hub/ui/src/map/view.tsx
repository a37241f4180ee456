import { useEffect, useState } from "preact/hooks";
import { told } from "../api";
import { inert } from "../format";
import { askMap } from "./ask";
import { GROUPS, type Group, type ServiceMap } from "./types";

interface Props {
  filter: string;
  since: string;
  until: string;
  /** Joins a condition to the filter and shows the list. */
  onFilter: (text: string) => void;
}

export default function MapView({ filter, since, until, onFilter }: Props) {
  const [group, setGroup] = useState<Group>("service");
  const [map, setMap] = useState<ServiceMap>();
  const [trouble, setTrouble] = useState("");
  useEffect(() => {
    const asking = new AbortController();
    askMap(group, filter, since, until, asking.signal)
      .then((found) => {
        setMap(found);
        setTrouble("");
      })
      .catch((error: unknown) => !asking.signal.aborted && setTrouble(told(error)));
    return () => asking.abort();
  }, [group, filter, since, until]);
  return (
    <section class="map" aria-label="Map">
      <label>
        by{" "}
        <select value={group} onChange={(event) => setGroup(event.currentTarget.value as Group)}>
          {GROUPS.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </label>
      {trouble && <p class="trouble">{trouble}</p>}
      <table>
        <tbody>
          {map?.edges.map((edge) => (
            <tr key={`${edge.src} ${edge.dst}`} onClick={() => edge.filter && onFilter(edge.filter)}>
              <td>{inert(edge.src)}</td>
              <td>{inert(edge.dst)}</td>
              <td>{edge.count}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
