import { useEffect, useMemo, useState } from "preact/hooks";
import { inert, size } from "../../format";
import type { Body } from "../../types";
import { inBody, negated } from "../clause";
import { Copy } from "../copy";
import { Pairs } from "../pairs";
import { Json } from "./json";
import { bytesOf, imageType, immense, type Kind, kinds } from "./kind";
import { Rows } from "./rows";
import { formPairs, hexLines, type Lines, textLines, xmlLines } from "./text";

const NAMES: Record<Kind, string> = { json: "JSON", form: "Form", xml: "XML", text: "Text", image: "Image", hex: "Hex" };
/** Bytes that are shown in hexadecimal at most. */
const HEX_BYTES = 4_000_000;

interface Props {
  side: "request" | "response";
  body: Body;
  contentType: string;
  onFilter: (text: string) => void;
}

export function BodyView({ side, body, contentType, onFilter }: Props) {
  const offered = useMemo(() => kinds(body, contentType), [body, contentType]);
  const [chosen, setChosen] = useState<Kind>();
  const [broken, setBroken] = useState(false);
  useEffect(() => (setChosen(undefined), setBroken(false)), [body]);
  const kind = chosen ?? (broken && offered[0] === "json" ? "text" : offered[0]);
  const said = [size(body.size ?? 0), body.encoding && inert(body.encoding), body.truncated && "cut"].filter(Boolean).join(", ");
  return (
    <div class="body">
      <div class="body-head">
        <h4>
          Body <span class="quiet">{said}</span>
        </h4>
        {offered.length > 1 && (
          <span class="tabs" role="group" aria-label={`Body of the ${side} as`}>
            {offered.map((one) => (
              <button key={one} aria-pressed={one === kind} onClick={() => setChosen(one)}>
                {NAMES[one]}
              </button>
            ))}
          </span>
        )}
        {kind && <Copy text={body.text ?? body.data ?? ""} what={`body of the ${side}`} shown />}
      </div>
      {kind ? (
        <Shown kind={kind} side={side} body={body} onFilter={onFilter} onBroken={() => setBroken(true)} />
      ) : (
        (body.size ?? 0) > 0 && <p class="quiet">It was not kept.</p>
      )}
      {broken && chosen === "json" && <p class="note">This is not JSON, whatever it says.</p>}
    </div>
  );
}

function Shown({ kind, side, body, onFilter, onBroken }: Omit<Props, "contentType"> & { kind: Kind; onBroken: () => void }) {
  const label = `Body of the ${side}`;
  const text = body.text ?? "";
  const pick = (source: string, not: boolean) => onFilter(not ? negated(inBody(side, source)) : inBody(side, source));
  if (kind === "json") return <Json text={text} label={label} onPick={pick} onBroken={onBroken} />;
  if (kind === "form") return <Form text={text} side={side} onFilter={onFilter} />;
  if (kind === "image") return <Image base64={body.data ?? ""} />;
  return <Plain kind={kind} body={body} label={label} />;
}

function Form({ text, side, onFilter }: { text: string; side: "request" | "response"; onFilter: (text: string) => void }) {
  const sources = text.split("&").filter(Boolean);
  const pairs = useMemo(() => formPairs(text), [text]);
  return <Pairs title="Form" rows={pairs.map(([name, value], at) => ({ name, value, condition: inBody(side, sources[at] ?? "") }))} onFilter={onFilter} />;
}

function Plain({ kind, body, label }: { kind: Kind; body: Body; label: string }) {
  const lines = useMemo(() => laidOut(kind, body), [kind, body]);
  return (
    <>
      <Rows
        label={label}
        count={lines.length}
        line={(at) => {
          const { depth, text } = lines.line(at);
          return (
            <div class="line" key={at} style={{ paddingLeft: `${Math.min(depth, 20) * 2}ch` }}>
              {inert(text) || "\n"}
            </div>
          );
        }}
      />
      {lines.long && <p class="note">There is more than is shown; “copy” has all of it.</p>}
    </>
  );
}

function laidOut(kind: Kind, body: Body): Lines {
  if (kind === "xml") return xmlLines(body.text ?? "");
  if (kind === "text") return textLines(body.text ?? "");
  const bytes = body.data ? bytesOf(body.data) : new TextEncoder().encode(body.text ?? "");
  return { ...hexLines(bytes.subarray(0, HEX_BYTES)), long: bytes.length > HEX_BYTES };
}

/** Drawn when it is asked for: what a picture does to a decoder is not the reader's risk by default. */
function Image({ base64 }: { base64: string }) {
  const [asked, setAsked] = useState(false);
  const [failed, setFailed] = useState(false);
  const type = imageType(base64);
  useEffect(() => (setAsked(false), setFailed(false)), [base64]);
  if (immense(bytesOf(base64), type)) return <p class="note">This picture is too large to be drawn.</p>;
  if (failed) return <p class="note">The picture is damaged or cut; “Hex” shows its bytes.</p>;
  if (!asked) return <button onClick={() => setAsked(true)}>Show the picture ({type})</button>;
  return <img class="picture" alt="The body, as a picture" src={`data:${type};base64,${base64}`} onError={() => setFailed(true)} />;
}
