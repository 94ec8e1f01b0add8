/**
 * Which fields of which events hold what nobody has declared. It remembers names of fields and counts, never a value; a name that is
 * itself a finding (an address as a key) is `*`. Pure.
 */
import type { PiiFinding, PiiSample } from "../../durable-objects/pii-audit/api.ts";
import { PII } from "../../r2-layout/limits.ts";
import type { LogLine } from "../../r2-layout/log-line.ts";
import { type PiiKind, piiIn } from "./detect.ts";

/** Whether the contract in force for a source's event says of a property (names, from the outermost in) that it is kept as it is. */
export type IsDeclared = (source: string, eventName: string, path: readonly string[]) => boolean;

const MEMBERS = ["properties", "traits"];

export class PiiTally {
  readonly #isDeclared: IsDeclared;
  readonly #findings = new Map<string, PiiFinding & { events: number; newestAt: number }>();
  readonly #sampled = new Map<string, PiiSample & { events: number }>();
  #left = 0;

  constructor(isDeclared: IsDeclared) {
    this.#isDeclared = isDeclared;
  }

  /** Findings beyond `PII.auditFindings` are only counted. */
  get report(): { findings: PiiFinding[]; sampled: PiiSample[]; left: number } {
    return { findings: [...this.#findings.values()], sampled: [...this.#sampled.values()], left: this.#left };
  }

  add({ row, raw }: Pick<LogLine, "row" | "raw">): void {
    const { source, received_at } = row;
    const eventName = nameOf(row.event_name ?? "(none)");
    const of = `${source}\n${eventName}`;
    const sample = this.#sampled.get(of) ?? { source, eventName, events: 0 };
    // The findings of names beyond the bound are counted under none of them.
    if (this.#sampled.size < PII.auditFindings || this.#sampled.has(of)) this.#sampled.set(of, sample);
    sample.events++;
    for (const [field, kinds] of this.#fieldsOf(raw, source, row.event_name ?? "")) {
      for (const kind of kinds) {
        const key = `${of}\n${field}\n${kind}`;
        const known = this.#findings.get(key);
        if (known) {
          known.events++;
          known.newestAt = Math.max(known.newestAt, received_at);
        } else if (this.#findings.size < PII.auditFindings) {
          this.#findings.set(key, { source, eventName, field, kind, events: 1, newestAt: received_at });
        } else this.#left++;
      }
    }
  }

  #fieldsOf(raw: LogLine["raw"], source: string, eventName: string): Map<string, Set<PiiKind>> {
    const fields = new Map<string, Set<PiiKind>>();
    let values = 0;
    const note = (field: string, kinds: readonly PiiKind[]) => {
      for (const kind of kinds) fields.set(field, (fields.get(field) ?? new Set<PiiKind>()).add(kind));
    };
    const walk = (value: unknown, name: string, field: string, path: readonly string[]): void => {
      if (++values > PII.auditValues) return;
      if (typeof value === "string" || typeof value === "number") {
        const kinds = piiIn(value, name);
        if (kinds.length === 0) return;
        const [member, ...inner] = path;
        if (!(MEMBERS.includes(member!) && this.#isDeclared(source, eventName, inner))) note(field, kinds);
      } else if (Array.isArray(value)) {
        for (const item of value) walk(item, name, `${field}[]`, path);
      } else if (typeof value === "object" && value !== null) {
        for (const [key, inner] of Object.entries(value)) {
          const shown = nameOf(key);
          const at = field === "" ? shown : `${field}.${shown}`;
          if (shown !== key) note(at, piiIn(key));
          walk(inner, key, at.slice(0, PII.auditFieldChars), [...path, key]);
        }
      }
    };
    walk(raw, "", "", []);
    return fields;
  }
}

/** A name as it may be told: one that says something about a person is `*`, as are names that are long enough to be values. */
const nameOf = (name: string): string => (name.length > NAME_CHARS || piiIn(name).length > 0 ? "*" : name);
const NAME_CHARS = 100;
