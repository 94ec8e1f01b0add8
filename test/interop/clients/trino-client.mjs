/** npm's trino-client: the guide's snippet, then what people do next. Prints one JSON object. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [, , home] = process.argv;
const { snippet } = JSON.parse(readFileSync(0, "utf8"));
// Beside the package, so that its import finds it.
const path = join(home, `guide-${process.pid}.mjs`);
writeFileSync(path, `${snippet}\nexport { trino, rows };\n`);
const { trino, rows } = await import(path);
const answers = { "trino-client: the guide's rows": rows };

async function ask(query) {
  const found = [];
  for await (const { data = [], error } of await trino.query(query)) {
    if (error) throw new Error(error.message);
    found.push(...data);
  }
  return found;
}

answers["trino-client: count"] = await ask("SELECT count(*) FROM events");
// Its results come as they are in JSON: beyond 2^53 a number is the client's own affair.
answers["trino-client: every event, page by page"] = [
  [new Set((await ask("SELECT event_id, properties, page_url FROM events")).map(([id]) => id)).size],
];
await ask("PREPARE p FROM SELECT count(*) FROM events WHERE event_name = ?");
answers["trino-client: prepared"] = await ask("EXECUTE p USING 'Order Completed'");
const tables = (await ask("SHOW TABLES FROM eventpile.default")).flat();
if (tables.join() !== "events,quarantine") throw new Error(`tables: ${tables}`);
const wrong = await ask("SELECT nope FROM events").then(
  () => null,
  (error) => error,
);
if (!/nope/.test(wrong?.message)) throw new Error(`a wrong column is answered: ${wrong}`);
const running = await trino.query("SELECT count(*) FROM range(100000000) a(x), range(100000) b(y) WHERE x + y = 7");
const { value } = { value: running.iter.queryResult };
await trino.cancel(value.id);
console.log(JSON.stringify(answers));
