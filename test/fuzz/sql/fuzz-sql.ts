/**
 * Hostile and random statements against the query Worker in the real runtime. Each has to be answered or refused with a
 * problem document that is documented; none may break the Worker, show anything besides the tables, or what another
 * token asked.
 */
import { Random } from "../../../scripts/demo/random.ts";
import { lakeFile, type QueryRig, startRig } from "../../workers/query/rig.ts";
import { shopRows } from "../../workers/query/shop-rows.ts";
import { hostileSql, hugeSql } from "./hostile-sql.ts";
import { mutated } from "./mutate-sql.ts";
import { validSql } from "./valid-sql.ts";

const AT_ONCE = 6;
/** A token may send so many a minute, and there is no minute's wait here. */
const PER_TOKEN = 300;
const TIMEOUT_MS = 400;
/** A bound against standing still. */
const ANSWER_MS = 40_000;
const CHECK_EVERY = 500;
const ROWS = 1_500;

/** In an object of the bucket that is no table's file, and in a statement of another token. */
const BUCKET_CANARY = "canary-of-the-bucket-7f3a";
const TOKEN_CANARY = "canary-of-another-token-91bc";
const OTHERS = [BUCKET_CANARY, TOKEN_CANARY, "root:x:0", "extension_directory", "lock_configuration"];

const STATUSES = new Set([200, 400, 404, 408, 413, 422, 429]);

export interface SqlFuzzed {
  readonly statements: number;
  /** `200`, or a problem's reason, and how many. */
  readonly tally: Readonly<Record<string, number>>;
  /** Engines started: one, and one for each that was thrown away. */
  readonly boots: number;
}

/** The statement of this number, the same each time. */
export function fuzzSql(seed: number, index: number): string {
  const random = new Random(seed * 1_000_003 + index);
  const roll = random.next();
  if (roll < 0.3) return validSql(random);
  if (roll < 0.45) return mutated(random, validSql(random));
  if (roll < 0.7) return hostileSql(random);
  if (roll < 0.9) return mutated(random, hostileSql(random));
  if (roll < 0.93) return hugeSql(random);
  if (roll < 0.95) return mutated(random, hugeSql(random));
  return noise(random);
}

function noise(random: Random): string {
  const chars = Array.from({ length: random.int(0, 80) }, () =>
    random.chance(0.7) ? random.int(0x20, 0x7e) : random.chance(0.5) ? random.int(0, 0xffff) : random.int(0, 0x10ffff),
  );
  return `${random.pick(["", "select ", "select * from events where "])}${String.fromCodePoint(...chars)}`;
}

/** @throws with the first statement that was answered as none may be. */
export async function fuzzStatements(seed: number, statements: number): Promise<SqlFuzzed> {
  const rig = await startRig({ timeoutMs: TIMEOUT_MS });
  try {
    return await new SqlFuzz(rig, seed, statements).run();
  } finally {
    await rig.stop();
  }
}

class SqlFuzz {
  readonly #rig: QueryRig;
  readonly #seed: number;
  readonly #statements: number;
  readonly #tally = new Map<string, number>();
  #next = 0;
  #key = "";

  constructor(rig: QueryRig, seed: number, statements: number) {
    this.#rig = rig;
    this.#seed = seed;
    this.#statements = statements;
  }

  async run(): Promise<SqlFuzzed> {
    const rig = this.#rig;
    const file = await lakeFile("events", [...shopRows({ seed: 1, rows: ROWS, firstDay: 0, days: 1 })]);
    const { paths } = await rig.commit([file]);
    this.#key = paths[0]!.slice(paths[0]!.indexOf("lake_")).replaceAll("_", "/");
    await rig.put("secret.csv", `secret\n${BUCKET_CANARY}\n`);
    await rig.put("secret.parquet", BUCKET_CANARY);
    await Promise.all(Array.from({ length: AT_ONCE }, () => this.#lane()));
    const { boots } = await rig.engine(0).status();
    return {
      statements: this.#next,
      tally: Object.fromEntries([...this.#tally].toSorted((a, b) => b[1] - a[1])),
      boots,
    };
  }

  async #lane(): Promise<void> {
    while (this.#next < this.#statements) {
      const index = this.#next++;
      if (index % CHECK_EVERY === CHECK_EVERY - 1) await this.#stillAnswers(index);
      const sql = fuzzSql(this.#seed, index).replaceAll("__KEY__", this.#key);
      // Once more where the connection broke off: the runtime ends those that were idle, and may just have done so.
      const wrong = await this.#ask(sql, `s${index}`, index)
        .catch(() => this.#ask(sql, `s${index}-again`, index))
        .catch((error: Error) => `no answer: ${error} ${error.cause}`);
      if (wrong !== null) throw new Error(`statement ${index} of seed ${this.#seed}: ${wrong}\n${sql.slice(0, 2_000)}`);
    }
  }

  /** @returns what is wrong with its answer, null where nothing is. */
  async #ask(sql: string, id: string, index: number): Promise<string | null> {
    const headers = { "x-eventpile-token": tokenOf(index) };
    const signal = AbortSignal.timeout(ANSWER_MS);
    const response = await this.#rig.post({ sql, id }, { headers, signal });
    const text = await response.text();
    const { status } = response;
    let reason = "200";
    if (status !== 200) {
      if (response.headers.get("content-type") !== "application/problem+json") return `${status} without a document`;
      ({ reason } = JSON.parse(text) as { reason: string });
      const isBusy = status === 503 && reason === "engine_busy" && response.headers.has("retry-after");
      if (!STATUSES.has(status) && !isBusy) return `${status} ${text}`;
    } else {
      const { columns, rows } = JSON.parse(text) as { columns: unknown[]; rows: unknown[][] };
      if (rows.some((row) => row.length !== columns.length)) return "rows and columns do not fit";
    }
    this.#tally.set(reason, (this.#tally.get(reason) ?? 0) + 1);
    const shown = OTHERS.find((other) => text.includes(other) && !sql.includes(other));
    if (shown !== undefined) return `it shows ${shown}: ${text.slice(0, 500)}`;
    if (status !== 200 && text.includes("lake/events/") && !sql.includes("lake/")) return `it names a file: ${text}`;
    return null;
  }

  /** Another token's statement is under way beside all others, and has the answer that it always had. */
  async #stillAnswers(index: number): Promise<void> {
    const headers = { "x-eventpile-token": "ee".repeat(32) };
    const question = { sql: "select count(*), $1 from events", params: [TOKEN_CANARY], id: `canary-${index}` };
    for (let tries = 0; ; tries++) {
      const response = await this.#rig.post(question, { headers });
      const body = (await response.json()) as { rows?: unknown[][]; reason?: string };
      if (body.reason === "engine_busy" && tries < 20) continue;
      if (JSON.stringify(body.rows) !== JSON.stringify([[ROWS, TOKEN_CANARY]])) {
        throw new Error(
          `after ${index} statements of seed ${this.#seed} the tables are not as they were: ${JSON.stringify(body)}`,
        );
      }
      break;
    }
    const others = { "x-eventpile-token": tokenOf(index) };
    for (const method of ["GET", "DELETE"]) {
      const seen = await this.#rig.fetch(`/v1/sql/canary-${index}`, { method, headers: others });
      if (seen.status !== 404) throw new Error(`another token's statement is there for ${method}`);
    }
  }
}

const tokenOf = (index: number): string =>
  Math.floor(index / PER_TOKEN)
    .toString(16)
    .padStart(64, "0");
