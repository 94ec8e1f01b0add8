/** An event of the log against another version, after a mapping: the line that it would be, or what is wrong with it. */

import { parseContract } from "../../../r2-layout/contracts/contract.ts";
import type { SchemaObject } from "../../../r2-layout/contracts/json-schema.ts";
import { loggedSchema } from "../../../r2-layout/contracts/logged-schema.ts";
import { PiiPolicy } from "../../../r2-layout/contracts/pii-policy.ts";
import {
  joinLogLine,
  type LogLine,
  type LogPosition,
  propertiesMember,
  propertiesOf,
  type QuarantineMark,
} from "../../../r2-layout/log-line.ts";
import type { Result } from "../../../r2-layout/result.ts";
import { err, ok } from "../../../r2-layout/result.ts";
import { ContractChecks } from "../contracts/contract-checks.ts";
import { isObject } from "../derive/json.ts";
import { readRevenue } from "../derive/revenue.ts";
import { type MappingStep, mapped } from "./mapping.ts";

export class Mender {
  readonly #checks: ContractChecks;
  readonly #version: number;
  readonly #steps: readonly MappingStep[];
  readonly #policies: readonly PiiPolicy[];

  /**
   * @param document JSON of the version that the events are to keep to.
   * @param treatedBy versions whose policies may have treated what was recorded: that is not asked after any more.
   */
  constructor(
    eventName: string,
    version: number,
    document: string,
    {
      steps = [],
      treatedBy = [],
    }: { steps?: readonly MappingStep[]; treatedBy?: readonly { document: string }[] } = {},
  ) {
    const policies = [{ document }, ...treatedBy].flatMap(({ document: text }) => {
      const parsed = parseContract(JSON.parse(text));
      return parsed.ok ? [parsed.value] : [];
    });
    this.#policies = policies.flatMap((contract) => PiiPolicy.of(contract) ?? []);
    const logged = JSON.stringify(loggedSchema(JSON.parse(document) as SchemaObject, policies));
    this.#checks = new ContractChecks([{ eventName, source: "*", mode: "quarantine", document: logged }]);
    this.#version = version;
    this.#steps = steps;
  }

  /**
   * Fields that steps write to although a policy treats them before the log (x-pii): a mapping would put back in clear what the
   * edge has hashed, cut or sealed.
   */
  get treatedFields(): string[] {
    const written = this.#steps.filter((step) => !("drop" in step)).map(({ field }) => field);
    return written.filter((field) => this.#policies.some((policy) => policy.covers([field])));
  }

  /** @returns what the line's event does not keep to; null where it keeps to the version as it is. */
  judge({ row, raw }: LogLine): QuarantineMark | null {
    return this.#checks.check(row.source, row.event_name, raw)?.violation ?? null;
  }

  /** @param at where the line stands: its row keeps the place, so that it passes through the rules as its neighbours did. */
  mended({ row, raw, d }: LogLine, at: LogPosition): Result<string, QuarantineMark> {
    const member = propertiesMember(raw, row.event_name);
    const given = isObject(raw[member]) ? raw[member] : {};
    const fixed = this.#steps.length === 0 ? raw : { ...raw, [member]: mapped(given, this.#steps) };
    const violation = this.judge({ row, raw: fixed, d });
    if (violation) return err(violation);
    const properties = isObject(fixed[member]) ? fixed[member] : {};
    const money = row.revenue === undefined || row.revenue === null ? readRevenue(row.event_name, properties) : {};
    const whole = { ...row, ...money, contract_version: this.#version, properties: propertiesOf(fixed) ?? undefined };
    return ok(
      joinLogLine({ ...whole, ...{ log_shard: at.shard, log_seq: at.seq } }, d, undefined, JSON.stringify(fixed)),
    );
  }
}
