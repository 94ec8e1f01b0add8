import { existsSync } from "node:fs";
import { expect, it } from "vitest";
import { PLATFORM } from "../../../r2-layout/limits.ts";
import { consumerSettings } from "../../../scripts/local/queue/settings.ts";
import { ownClasses, readWorkerSources, withShards } from "../../../scripts/local/wrangler-config.ts";

const sources = readWorkerSources();
const all = <T>(list: (readonly T[] | undefined)[]): T[] => list.flatMap((part) => part ?? []);

it("reads the four Workers, each with an entry module that exists", () => {
  expect(sources.map(({ config }) => config.name)).toEqual([
    "eventpile-edge",
    "eventpile-pipeline",
    "eventpile-objects",
    "eventpile-query",
  ]);
  for (const { main } of sources) expect(existsSync(main), main).toBe(true);
});

it.each([1, 4])("gives each of %i shards a producer in the edge and a consumer, and the rest as it was", (shards) => {
  const configs = withShards(sources, [shards]).map(({ config }) => config);
  const names = Array.from({ length: shards }, (_, k) => `events-${k}`);
  const producers = all(configs.map((config) => config.queues?.producers));
  const consumers = all(configs.map((config) => config.queues?.consumers));
  expect(producers.filter(({ queue }) => /^events-\d/.test(queue))).toEqual(
    names.map((queue, k) => ({ binding: `EVENTS_${k}`, queue })),
  );
  expect(consumers.map(({ queue }) => queue).filter((queue) => /^events-\d/.test(queue))).toEqual(names);
  expect(new Set(consumers.map(({ queue }) => queue)).size).toBe(consumers.length);
  for (const config of configs) expect(config.vars?.SHARDS).toBe(String(shards));
});

it("finds a consumer for every queue that is sent to, and an owner for every class and service that is bound", () => {
  const configs = sources.map(({ config }) => config);
  const consumed = new Set(all(configs.map((config) => config.queues?.consumers)).map(({ queue }) => queue));
  for (const { queue } of all(configs.map((config) => config.queues?.producers))) expect(consumed).toContain(queue);
  const owned = new Set(configs.flatMap((config) => ownClasses(config).map((name) => `${config.name} ${name}`)));
  for (const config of configs) {
    for (const { class_name, script_name } of config.durable_objects?.bindings ?? []) {
      expect(owned).toContain(`${script_name ?? config.name} ${class_name}`);
    }
    for (const { service } of config.services ?? []) expect(configs.map(({ name }) => name)).toContain(service);
  }
});

it("takes consumers of PLATFORM.queueConsumerBatchMessages messages a batch, and refuses one that asks for more", () => {
  const settings = (max_batch_size: number) => consumerSettings({ queue: "q", max_batch_size }, "CONSUMER");
  expect(settings(PLATFORM.queueConsumerBatchMessages).batchSize).toBe(PLATFORM.queueConsumerBatchMessages);
  expect(() => settings(PLATFORM.queueConsumerBatchMessages + 1)).toThrow("max_batch_size of q is above 100");
});
