import { env, reset } from "cloudflare:test";
import { afterEach, describe, expect, it } from "vitest";
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import { PII_AUDIT_NAME, type PiiAuditApi, type ShardReport } from "../../../durable-objects/pii-audit/api.ts";
import { DAY_MS, PII } from "../../../r2-layout/limits.ts";
import { dayOf, MICROS_PER_MS } from "../../../r2-layout/time.ts";

afterEach(() => reset());

const audit = () => (env as unknown as { PII_AUDIT: ObjectNamespace<PiiAuditApi> }).PII_AUDIT.getByName(PII_AUDIT_NAME);
const day = (i: number) => dayOf((Date.UTC(2026, 0, 1) + i * DAY_MS) * MICROS_PER_MS);

const found = (fields: number, newestAt = 1): ShardReport => ({
  findings: Array.from({ length: fields }, (_, i) => ({
    ...{ source: "shop", eventName: "Paid", field: `f${i}`, kind: "email" },
    ...{ events: 2, newestAt },
  })),
  sampled: [{ source: "shop", eventName: "Paid", events: 10 }],
  left: 1,
});

describe("reports of the daily search", () => {
  it("are one over shards and days; a shard's later report of a day takes the place of the one before", async () => {
    expect(await audit().report(7)).toEqual({ auditedAt: null, findings: [], sampled: 0, left: 0 });
    await audit().put(day(0), 0, found(3));
    await audit().put(day(0), 0, found(1, 5));
    await audit().put(day(0), 1, found(1, 4));
    expect(await audit().begin(day(0))).toBe(true);
    await audit().finish(day(0), 77);
    expect(await audit().begin(day(0))).toBe(false);
    await audit().put(day(1), 0, found(1, 9));
    await audit().finish(day(1), 99);
    const { auditedAt, findings, ...rest } = await audit().report(7);
    expect({ auditedAt, ...rest }).toEqual({ auditedAt: 99, sampled: 30, left: 3 });
    expect(findings).toMatchObject([
      { field: "f0", events: 6, sampled: 30, newestAt: 9, firstDay: day(0), lastDay: day(1) },
    ]);
    expect((await audit().report(1)).sampled).toBe(10);
  });

  it("promise 9: tells PII.auditReported findings, and counts the others", async () => {
    await audit().put(day(0), 0, found(PII.auditReported));
    await audit().finish(day(0), 1);
    expect(await audit().report(1)).toMatchObject({ left: 1 });
    await audit().put(day(0), 0, found(PII.auditReported + 1));
    const { findings, left } = await audit().report(1);
    expect([findings.length, left]).toEqual([PII.auditReported, 2]);
  });

  it("promise 9: keeps PII.auditDays days that were audited", async () => {
    for (let i = 0; i < PII.auditDays; i++) {
      await audit().put(day(i), 0, found(1));
      await audit().finish(day(i), i + 1);
    }
    expect((await audit().report(PII.auditDays)).findings[0]!.firstDay).toBe(day(0));
    await audit().put(day(PII.auditDays), 0, found(1));
    await audit().finish(day(PII.auditDays), 99);
    expect((await audit().report(PII.auditDays + 1)).findings[0]!.firstDay).toBe(day(1));
  });
});
