import { expect, test } from "vitest";
import { busiest, meant } from "./busiest";
import type { Preview, Statistics } from "../types";

const group = (key: (string | number)[], flow_bytes: number): Statistics => ({
  key, since_ns: 0, count: 1, entries: 1, errors: 0, p50_us: 0, p95_us: 0, p99_us: 0, bytes: 0, flow_bytes,
});

test("the three that carry most are offered", () => {
  const groups = [group(["", ""], 999), group(["shop", "cart"], 5), group(["shop", "pay"], 50), group(["a", "b"], 20), group(["a", "c"], 1)];
  const found = busiest("dst.service.namespace,dst.service.name", groups);
  expect(found.map((one) => one.name)).toEqual(["pay.shop", "b.a", "cart.shop"]);
  expect(found[0]!.wish).toEqual({ service: "shop/pay", name: "page-pay-shop", for_s: 1800 });
});

test("workloads and addresses stand in for services", () => {
  expect(busiest("dst.namespace,dst.workload", [group(["shop", "deployment/x"], 1)])[0]!.wish).toMatchObject({ workload: "deployment/x", namespaces: ["shop"] });
  const found = busiest("dst.ip,dst.port", [group(["10.0.0.1", 8080], 1), group(["fe80::1", 80], 2), group(["10.0.0.2", 53], 99), group(["10.0.0.3", 0], 99)]);
  expect(found.map((one) => one.wish.target)).toEqual(["[fe80::1]:80", "10.0.0.1:8080"]);
  expect(found[0]!.wish.name).toBe("page-fe80-1-80");
});

test("what it would mean is said before it is done", () => {
  const preview: Preview = { rule: { name: "x" }, pods: 3, fresh: 3, workloads: {}, nodes: [{ node: "n1", above: true }], mb_per_s: 0.4, gb_per_day: 34.5, over_s: 60, warnings: [] };
  const [service] = busiest("dst.service.namespace,dst.service.name", [group(["shop", "pay"], 1)]);
  expect(meant(preview, service!)).toBe("3 pods: about 400.0 kB/s more to read (34.5 GB a day); above the ceiling of n1");
  expect(meant({ ...preview, nodes: [], over_s: 0 }, service!)).toBe("3 pods: nothing is known yet of how much that is");
  const [address] = busiest("dst.ip,dst.port", [group(["10.0.0.1", 80], 1)]);
  expect(meant({ ...preview, nodes: [], pods: 0, mb_per_s: 0 }, address!)).toBe("what goes there and comes from there: payload is read from now on");
});
