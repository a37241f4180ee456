import { expect, test } from "vitest";
import { EVERYTHING, hides, narrowed, params } from "./filter";
import type { Entry } from "./types";

const flow = (more: Partial<Entry> = {}) => ({ id: "1", kind: "flow", protocol: "tcp", ...more }) as Entry;

test("only what is asked for is sent", () => {
  expect(params(EVERYTHING)).toEqual({});
  expect(narrowed(EVERYTHING)).toBe(false);
  expect(params({ protocol: ["http", "dns"], text: "cart", failed: true, flow: "f" })).toEqual({
    protocol: "http,dns",
    text: "cart",
    ok: "false",
    flow_id: "f",
  });
});

test("connections whose calls are listed are left out, others are not", () => {
  const hidden = hides(EVERYTHING);
  expect(hidden(flow({ conn_l7_detected: ["http"] }))).toBe(true);
  expect(hidden(flow({ flow_l7_detected: ["dns"] }))).toBe(true);
  expect(hidden(flow())).toBe(false);
  expect(hidden(flow({ conn_l7_detected: [] }))).toBe(false);
  expect(hidden({ ...flow({ conn_l7_detected: ["http"] }), kind: "exchange" })).toBe(false);
});

test("who asks for connections or for one conversation gets all of them", () => {
  const decoded = flow({ conn_l7_detected: ["http"] });
  expect(hides({ ...EVERYTHING, protocol: ["http", "tcp"] })(decoded)).toBe(false);
  expect(hides({ ...EVERYTHING, flow: "f" })(decoded)).toBe(false);
  expect(hides({ ...EVERYTHING, protocol: ["http"] })(decoded)).toBe(true);
});
