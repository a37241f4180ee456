import { expect, test } from "vitest";
import type { Health, Process } from "../types";
import { clocks, costs, losses, stages } from "./picture";
import { EMPTY, nameOf, wishOf } from "./wish";
import { lasting, loss, origin, selects } from "./words";

const process = (more: Partial<Process>): Process => ({
  process: "p", stages: [], state: "up", age_s: 0, uptime_s: 100, mode: {}, counters: {}, rates: {}, lag: {}, lost: {}, cpu_s: 10, rss_bytes: 1000, notes: [], ...more,
});

test("stages stand in the way of a packet, with what they do and what waits", () => {
  const found = stages({ processes: [
    process({ process: "d", stages: ["decode"], rates: { "decode.entries": 10, "lost.decode.late": 2 }, lag: { "weir.segments/0": 5, "weir.segments/1": 7 } }),
    process({ process: "n1", stages: ["filter", "capture"], rates: { "capture.packets": 100, "filter.segments": 40 }, lag: { "weir.packets/3": 9 } }),
    process({ process: "n2", stages: ["capture"], state: "gone", rates: { "capture.packets": 100 } }),
    process({ process: "x", stages: ["other"] }),
  ] });
  expect(found.map(({ name, up, processes, perSecond, behind, losing }) => [name, up, processes.length, perSecond, behind, losing])).toEqual([
    ["capture", 1, 2, 100, 0, 0], ["filter", 1, 1, 40, 9, 0], ["decode", 1, 1, 10, 12, 2], ["other", 1, 1, undefined, 0, 0],
  ]);
  expect(found[2]?.partitions[1]).toEqual({ topic: "weir.segments", partition: "1", behind: 7, process: "d" });
});

test("losses of a kind are told together, those that go on first", () => {
  const told = { losses: [{ process: "a", what: "capture.bus", count: 5, says: "" }, { process: "a", what: "capture.kernel", count: 1, per_s: 2, says: "" }, { process: "b", what: "capture.bus", count: 7, says: "" }] };
  expect(losses(told).map(({ what, count, perSecond, where }) => [what, count, perSecond, where])).toEqual([["capture.kernel", 1, 2, ["a"]], ["capture.bus", 12, 0, ["a", "b"]]]);
});

test("what a loss is, also where nobody knows it", () => {
  expect(loss("capture.kernel").reason.says).toContain("kernel dropped");
  expect(loss("store.overtaken").reason.says).toContain("deleted before");
  expect(loss("decode.some_thing")).toEqual({ stage: "decode", reason: { says: "some thing" } });
  expect(loss("odd").reason.says).toBe("odd");
});

test("cost of a node: its cores since the last look, its memory, what it sends", () => {
  const health: Health = { processes: [process({ process: "a", node: "n1" }), process({ process: "b", node: "n1", cpu_s: 50 }), process({ process: "c" })], nodes: [{ node: "n1", mb_per_s: 3, gb_per_day: 259, ceiling_mb_per_s: 20, above: true }] };
  expect(costs(health, new Map())).toEqual([
    { node: "c", cores: 0.1, bytes: 1000, mbPerSecond: undefined, gbPerDay: undefined, ceiling: undefined, above: false },
    { node: "n1", cores: 0.6, bytes: 2000, mbPerSecond: 3, gbPerDay: 259, ceiling: 20, above: true },
  ]);
  const later = { processes: [process({ process: "a", node: "n1", cpu_s: 12, uptime_s: 104 })] };
  expect(costs(later, clocks(health))[0]?.cores).toBe(0.5);
  const restarted = { processes: [process({ process: "a", node: "n1", cpu_s: 1, uptime_s: 2 })] };
  expect(costs(restarted, clocks(health))[0]?.cores).toBe(0.5);
  expect([costs({}, new Map()), stages({}), losses({})]).toEqual([[], [], []]);
});

test("rules in words", () => {
  expect(selects({ name: "a", target: "all" })).toBe("everything");
  expect(selects({ name: "a", namespaces: ["shop"], workload: "deployment/pay", port: 80 })).toBe("workload deployment/pay, in shop, port 80");
  expect(selects({ name: "a", namespaces: ["shop", "infra"] })).toBe("all pods, in shop, infra");
  expect(selects({ name: "a" })).toBe("all pods");
  expect([origin({ name: "a", source: "helm", author: "helm" }), origin({ name: "a", source: "cli", author: "cli ada@x" }), origin({ name: "a", author: "page" })]).toEqual(["Helm", "the terminal, by ada@x", "this page"]);
  expect([lasting(5), lasting(60), lasting(7200), lasting(90_000)]).toEqual(["5 s", "1 minute", "2 hours", "1 day"]);
});

test("what is typed becomes a wish with a name that tells what it selects", () => {
  expect(wishOf(EMPTY)).toBe(undefined);
  expect(wishOf({ ...EMPTY, namespaces: " shop,  infra ", workload: "deployment/pay", port: "80", for_s: 900 })).toEqual({
    namespaces: ["shop", "infra"], workload: "deployment/pay", port: 80, for_s: 900, name: "deployment/pay-shop+infra-:80", author: "page",
  });
  expect(wishOf({ ...EMPTY, target: "all", exclude: true, name: "mine" })).toEqual({ target: "all", exclude: true, name: "mine", author: "page" });
  expect(nameOf({ pod: "^(a|b)-.*$" })).toBe("a-b");
  expect([nameOf({ labels: "«»" }), nameOf({ labels: "x".repeat(300) }).length]).toEqual(["rule", 100]);
});
