import fc from "fast-check";
import { expect, it } from "vitest";
import { isVolatile, questionKey, resultKey } from "../../../../workers/query/cache/fingerprint.ts";
import type { EngineTable } from "../../../../workers/query/engine/statement.ts";

const table = (keys: string[], more: Partial<EngineTable> = {}): EngineTable =>
  ({ table: "events", files: keys.map((key) => ({ key })), ...more }) as unknown as EngineTable;
const UNMASKED = { masked: [], pseudonymKey: "k" };
const BASE = { sql: "SELECT 1", format: "json", tables: [table(["a", "b"])] } as const;

it.each([
  ["the statement", { ...BASE, sql: "SELECT 2" }],
  ["the format", { ...BASE, format: "csv" as const }],
  ["the limit", { ...BASE, limit: 0 }],
  ["a file", { ...BASE, tables: [table(["a"])] }],
  ["the order of files", { ...BASE, tables: [table(["b", "a"])] }],
  ["the columns there are", { ...BASE, tables: [table(["a", "b"], { promoted: [{ name: "sku" }] as never })] }],
  ["where the rows end", { ...BASE, tables: [table(["a", "b"], { before: 5 })] }],
  ["the table", { ...BASE, tables: [table(["a", "b"], { table: "quarantine" })] }],
  ["what is seen of it", { ...BASE, tables: [table(["a", "b"], { sight: { sources: ["web"], ...UNMASKED } })] }],
  ["another table", { ...BASE, tables: [table(["a", "b"]), table(["a", "b"])] }],
])("is another one where %s is", async (_, other) => {
  expect(await resultKey(other)).not.toBe(await resultKey(BASE));
});

it("is the same whatever else lies in the lake, and whoever asks", async () => {
  const same = table(["a", "b"], { tableFiles: 99, tableBytes: 1 });
  expect(await resultKey({ ...BASE, tables: [same] })).toBe(await resultKey(BASE));
});

it("a question is the same by any spacing, at any time; another format, snapshot or sight is another question", async () => {
  const key = (sql: string, more = {}) => questionKey(sql, { format: "json", sight: null, ...more });
  const first = await key("select * from events where event_time > now()");
  expect(await key(" select  *\nfrom events -- all\n where event_time > now() ;")).toBe(first);
  expect(await key("select * from events where event_time > now()", { as_of: { asOf: 3 } })).not.toBe(first);
  expect(await key("select * from events where event_time > now()", { format: "csv" })).not.toBe(first);
  const sight = { sources: ["web"], ...UNMASKED };
  expect(await key("select * from events where event_time > now()", { sight })).not.toBe(first);
});

it.each(["random()", "UUID()", "gen_random_uuid ( )", "current_time", "age(event_time)"])("%s is volatile", (call) => {
  expect(isVolatile(`select ${call} from events`)).toBe(true);
});

it("what stands in quotes is not", () => {
  fc.assert(
    fc.property(fc.constantFrom("random", "uuid", "age"), fc.string(), (word, text) => {
      const quoted = `${text} ${word} ${text}`.replaceAll("'", "''");
      expect(isVolatile(`select '${quoted}' from events`)).toBe(false);
    }),
  );
});
