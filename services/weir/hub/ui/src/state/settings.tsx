import { useEffect, useState } from "preact/hooks";
import { ApiError, get, told } from "../api";
import { inert } from "../format";
import type { Setting } from "./types";

/** The settings of the process that answers; asked for when they are looked at. */
export function Settings() {
  const [open, setOpen] = useState(false);
  const [settings, setSettings] = useState<Setting[]>();
  const [trouble, setTrouble] = useState("");
  const [typed, setTyped] = useState("");
  useEffect(() => {
    if (!open || settings) return;
    get<{ settings: Setting[] }>("settings")
      .then((found) => setSettings(found.settings))
      .catch((error: unknown) => setTrouble(error instanceof ApiError && error.status === 404 ? "this hub does not tell its settings" : told(error)));
  }, [open]);
  const wanted = typed.trim().toLowerCase();
  const shown = (settings ?? []).filter(({ name, doc }) => !wanted || name.toLowerCase().includes(wanted) || doc.toLowerCase().includes(wanted));
  return (
    <section aria-label="Settings">
      <details onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary>
          <h3>Settings in force</h3>
        </summary>
        {trouble && <p class="trouble">{inert(trouble)}</p>}
        {settings && (
          <>
            <input type="search" class="find-setting" placeholder="Find a setting" aria-label="Find a setting" value={typed} onInput={(event) => setTyped(event.currentTarget.value)} />
            <div class="table-scroll">
              <table class="facts settings">
                <tbody>
                  {shown.map(({ name, value, default: usual, doc, source }) => (
                    <tr key={name} class={value === usual ? "" : "changed"}>
                      <th scope="row">{inert(name)}</th>
                      <td>
                        <code>{inert(value) || "(empty)"}</code>
                        {value !== usual && <span class="quiet"> instead of {inert(usual) || "(empty)"}, from {inert(source)}</span>}
                        <p class="quiet">{inert(doc)}</p>
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          </>
        )}
      </details>
    </section>
  );
}
