import { env, evictDurableObject, reset, runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, describe, expect, it } from "vitest";
import type { ObjectNamespace } from "../../../durable-objects/namespace.ts";
import { type PiiKeyApi, saltName, saltPeriod, saltUntil, userKeyName } from "../../../durable-objects/pii-key/api.ts";
import { sealed, unsealed } from "../../../r2-layout/contracts/sealed-text.ts";
import { DAY_MS, PII } from "../../../r2-layout/limits.ts";

afterEach(() => reset());

const keys = (env as unknown as { PII_KEY: ObjectNamespace<PiiKeyApi> }).PII_KEY;
const ada = () => keys.getByName(userKeyName("ada"));

describe("a person's key", () => {
  it("is made once, outlives its object's memory, and is nobody else's", async () => {
    expect(await ada().peek()).toBeNull();
    const [one, other] = await Promise.all([ada().secret(null), ada().secret(null)]);
    expect(one).toHaveLength(32);
    expect(other).toEqual(one);
    await evictDurableObject(ada() as never);
    expect(await ada().peek()).toEqual(one);
    expect(await keys.getByName(userKeyName("grace")).secret(null)).not.toEqual(one);
    // In this runtime, too: it is no Node.
    expect(unsealed(sealed({ name: "Ada" }, one!), other!)).toEqual({ value: { name: "Ada" } });
  });

  it("is destroyed for good, as often as that is asked (promise 7)", async () => {
    await ada().secret(null);
    expect(await ada().destroy(7)).toBe(true);
    expect([await ada().peek(), await ada().secret(null), await ada().destroy(8)]).toEqual([null, null, false]);
    await evictDurableObject(ada() as never);
    expect(await ada().secret(null)).toBeNull();
  });

  it("of somebody who had none is not made any more, either", async () => {
    expect(await ada().destroy(7)).toBe(false);
    expect(await ada().secret(null)).toBeNull();
  });
});

describe("a salt", () => {
  it("is gone when its period and PII.saltGraceMs are over, and is not made again", async () => {
    const period = saltPeriod(Date.now());
    expect(saltUntil(period) - PII.saltGraceMs).toBe((period + 1) * PII.saltMs);
    const salt = () => keys.getByName(saltName(period));
    expect(await salt().secret(saltUntil(period))).toHaveLength(32);
    expect(await runDurableObjectAlarm(salt() as never)).toBe(true);
    expect(await salt().peek()).toBeNull();
    const past = saltPeriod(Date.now() - PII.saltMs - 2 * DAY_MS);
    expect(await keys.getByName(saltName(past)).secret(saltUntil(past))).toBeNull();
  });
});
