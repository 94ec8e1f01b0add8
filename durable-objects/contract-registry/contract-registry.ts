/**
 * Contracts by event name and version, for good: a version that was registered is what producers were told, so it never changes. One
 * transaction reads the versions before, compares and inserts, so of two who push version 3 at once one is told that it is taken.
 */
import { DurableObject } from "cloudflare:workers";
import { createHash } from "node:crypto";
import { canonicalJson } from "../../r2-layout/contracts/canonical-json.ts";
import {
  type CompatibilityRules,
  compatibilityBreaks,
  DEFAULT_RULES,
} from "../../r2-layout/contracts/compatibility.ts";
import { type Contract, parseContract } from "../../r2-layout/contracts/contract.ts";
import { newContractFault } from "../../r2-layout/contracts/new-contract.ts";
import { CONTRACT } from "../../r2-layout/limits.ts";
import type {
  ContractEntry,
  ContractRegistryApi,
  RegisterAnswer,
  Rollout,
  RolloutMode,
  StoredContract,
} from "./api.ts";

type Row = { event_name: string; version: number; document: string; fingerprint: string; created_at: number };
type RolloutRow = { source: string; mode: RolloutMode; version: number | null };
type EnforcedRow = { event_name: string; source: string; mode: Exclude<RolloutMode, "off">; document: string };
type RulesRow = { event_name: string; rules: string };

/** Rollouts in force, each with the document that its events are checked against. */
const ENFORCED = `FROM rollout JOIN contract USING (event_name)
  WHERE mode <> 'off' AND contract.version = coalesce(rollout.version,
    (SELECT max(version) FROM contract AS newest WHERE newest.event_name = contract.event_name))`;

export class ContractRegistry extends DurableObject implements ContractRegistryApi {
  readonly #sql: SqlStorage;

  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env as never);
    this.#sql = ctx.storage.sql;
    this.#sql.exec(`CREATE TABLE IF NOT EXISTS contract (
      event_name TEXT NOT NULL, version INTEGER NOT NULL, document TEXT NOT NULL, fingerprint TEXT NOT NULL,
      created_at INTEGER NOT NULL, PRIMARY KEY (event_name, version)) WITHOUT ROWID`);
    this.#sql.exec(`CREATE TABLE IF NOT EXISTS rollout (
      event_name TEXT NOT NULL, source TEXT NOT NULL, mode TEXT NOT NULL, version INTEGER,
      PRIMARY KEY (event_name, source)) WITHOUT ROWID`);
    // Of what is enforced: rises with each change, so that an edge need not be told again what it knows.
    this.#sql.exec(
      "CREATE TABLE IF NOT EXISTS revision (one INTEGER PRIMARY KEY CHECK (one = 1), revision INTEGER NOT NULL)",
    );
    this.#sql.exec("CREATE TABLE IF NOT EXISTS rules (event_name TEXT PRIMARY KEY, rules TEXT NOT NULL) WITHOUT ROWID");
  }

  async setRollout(
    eventName: string,
    { source, mode, version }: Rollout,
  ): Promise<ContractEntry | "full" | "too_large" | null> {
    return this.ctx.storage.transactionSync(() => {
      const rows = this.#rows(eventName);
      if (rows.length === 0 || (version !== null && !rows.some((row) => row.version === version))) return null;
      const others = this.#rollouts(eventName).filter((rollout) => rollout.source !== source);
      if (others.length >= CONTRACT.rollouts) return "full";
      const before = this.#rollouts(eventName).find((rollout) => rollout.source === source);
      this.#sql.exec("INSERT OR REPLACE INTO rollout VALUES (?, ?, ?, ?)", eventName, source, mode, version);
      if (mode !== "off" && this.#enforcedBytes() > CONTRACT.enforcedBytes) {
        if (before) {
          const { source: of, mode: as, version: at } = before;
          this.#sql.exec("INSERT OR REPLACE INTO rollout VALUES (?, ?, ?, ?)", eventName, of, as, at);
        } else this.#sql.exec("DELETE FROM rollout WHERE event_name = ? AND source = ?", eventName, source);
        return "too_large";
      }
      this.#revise();
      return this.#entry(eventName);
    });
  }

  async enforced(known: number | null) {
    const revision = this.#revision();
    if (revision === known) return null;
    const rows = this.#sql.exec<EnforcedRow>(`SELECT event_name, source, mode, document ${ENFORCED}`);
    const contracts = rows.toArray().map(({ event_name, ...rest }) => ({ eventName: event_name, ...rest }));
    return { revision, contracts };
  }

  async watched(after: string, limit: number) {
    const where = `event_name > ? AND version = (SELECT max(version) FROM contract AS newer WHERE newer.event_name = contract.event_name)
      AND (instr(document, '"x-expectations"') > 0
        OR EXISTS (SELECT 1 FROM rollout WHERE rollout.event_name = contract.event_name AND mode <> 'off'))`;
    const query = `SELECT event_name, document FROM contract WHERE ${where} ORDER BY event_name LIMIT ?`;
    const rows = this.#sql.exec<Pick<Row, "event_name" | "document">>(query, after, limit).toArray();
    const { n } = this.#sql.exec<{ n: number }>(`SELECT count(*) AS n FROM contract WHERE ${where}`, after).one();
    const contracts = rows.map(({ event_name, document }) => ({ eventName: event_name, document }));
    return { contracts, left: n - contracts.length };
  }

  async register(text: string, only?: "try"): Promise<RegisterAnswer> {
    const document: unknown = JSON.parse(text);
    const parsed = parseContract(document);
    if (!parsed.ok) return { kind: "invalid", fault: parsed.error };
    const fault = newContractFault(document, parsed.value);
    if (fault) return { kind: "invalid", fault };
    const fingerprint = createHash("sha256").update(canonicalJson(document)).digest("hex");
    return this.ctx.storage.transactionSync(() => this.#register(parsed.value, text, fingerprint, only === "try"));
  }

  async list(): Promise<ContractEntry[]> {
    const names = this.#sql.exec<{ event_name: string }>(
      "SELECT DISTINCT event_name FROM contract ORDER BY event_name",
    );
    return names.toArray().map(({ event_name }) => this.#entry(event_name)!);
  }

  async versions(eventName: string): Promise<StoredContract[]> {
    return this.#rows(eventName).map(storedOf);
  }

  async setRules(eventName: string, rules: CompatibilityRules): Promise<ContractEntry | null> {
    if (this.#rows(eventName).length === 0) return null;
    this.#sql.exec("INSERT OR REPLACE INTO rules VALUES (?, ?)", eventName, JSON.stringify(rules));
    return this.#entry(eventName);
  }

  #register(contract: Contract, document: string, fingerprint: string, isTrial: boolean): RegisterAnswer {
    const { eventName, version } = contract;
    const rows = this.#rows(eventName);
    const known = rows.find((row) => row.version === version);
    if (known?.fingerprint === fingerprint) return { kind: "known", contract: storedOf(known) };
    if (known) return { kind: "taken", eventName, version };
    const expected = (rows.at(-1)?.version ?? 0) + 1;
    if (version !== expected) return { kind: "gap", eventName, version, expected };
    if (rows.length === 0 && this.#names() >= CONTRACT.names) return { kind: "full", limit: CONTRACT.names };
    const rules = this.#rules(eventName);
    const before = rows.map((row) => ({ version: row.version, schema: contractOf(row).schema }));
    const breaks = compatibilityBreaks(before, contract.schema, rules);
    if (breaks.length > 0) return { kind: "incompatible", rules, breaks: breaks.slice(0, CONTRACT.breaksTold) };
    const row: Row = { event_name: eventName, version, document, fingerprint, created_at: Date.now() };
    if (isTrial) return { kind: "passes", contract: storedOf(row) };
    this.#sql.exec(
      "INSERT INTO contract VALUES (?, ?, ?, ?, ?)",
      row.event_name,
      row.version,
      row.document,
      row.fingerprint,
      row.created_at,
    );
    if (this.#enforcedBytes() > CONTRACT.enforcedBytes) {
      this.#sql.exec("DELETE FROM contract WHERE event_name = ? AND version = ?", row.event_name, row.version);
      return { kind: "full", limit: CONTRACT.enforcedBytes };
    }
    this.#revise();
    return { kind: "registered", contract: storedOf(row) };
  }

  /** UTF-8, a document once for each source. */
  #enforcedBytes(): number {
    return this.#sql
      .exec<{ bytes: number }>(`SELECT ifnull(sum(length(CAST(document AS BLOB))), 0) AS bytes ${ENFORCED}`)
      .one().bytes;
  }

  #entry(eventName: string): ContractEntry | null {
    const rows = this.#rows(eventName);
    const newest = rows.at(-1);
    if (!newest) return null;
    const { meaning, owner } = contractOf(newest);
    return {
      eventName,
      versions: rows.map(({ version }) => version),
      meaning,
      owner,
      rules: this.#rules(eventName),
      rollouts: this.#rollouts(eventName),
    };
  }

  #rollouts(eventName: string): Rollout[] {
    return this.#sql
      .exec<RolloutRow>("SELECT source, mode, version FROM rollout WHERE event_name = ? ORDER BY source", eventName)
      .toArray();
  }

  #revision(): number {
    return this.#sql.exec<{ revision: number }>("SELECT revision FROM revision").toArray()[0]?.revision ?? 0;
  }

  #revise(): void {
    this.#sql.exec("INSERT OR REPLACE INTO revision VALUES (1, ?)", this.#revision() + 1);
  }

  #rows(eventName: string): Row[] {
    return this.#sql.exec<Row>("SELECT * FROM contract WHERE event_name = ? ORDER BY version", eventName).toArray();
  }

  #names(): number {
    return this.#sql.exec<{ n: number }>("SELECT count(DISTINCT event_name) AS n FROM contract").one().n;
  }

  #rules(eventName: string): CompatibilityRules {
    const [row] = this.#sql.exec<RulesRow>("SELECT * FROM rules WHERE event_name = ?", eventName).toArray();
    return row ? (JSON.parse(row.rules) as CompatibilityRules) : DEFAULT_RULES;
  }
}

/** It was parsed before it was stored. */
function contractOf({ document }: Row): Contract {
  const parsed = parseContract(JSON.parse(document));
  if (!parsed.ok) throw new Error(`a stored contract is none any more: ${parsed.error.path} ${parsed.error.detail}`);
  return parsed.value;
}

const storedOf = ({ event_name, version, document, fingerprint, created_at }: Row): StoredContract => ({
  eventName: event_name,
  version,
  document,
  fingerprint,
  createdAt: created_at,
});
