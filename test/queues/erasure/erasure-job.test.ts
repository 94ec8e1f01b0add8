import { generateKeyPairSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { ErasureSpec, Job, JobChange, ReplayDeskApi } from "../../../durable-objects/replay-desk/api.ts";
import { advanceErasure, type ErasureParts, ruleSubjects } from "../../../queues/erasure/erasure-job.ts";
import { confirmedSubjects, SUBJECTS_OBJECT } from "../../../queues/erasure/erasure-objects.ts";
import { beginErasure, type ErasureProgress } from "../../../queues/erasure/erasure-progress.ts";
import { ERASURE_STORES, type ErasureStore, nothingFound } from "../../../queues/erasure/erasure-store.ts";
import type { ErasureReceipt } from "../../../queues/erasure/receipt.ts";
import { JobStore } from "../../../queues/replay/job-store.ts";
import type { RuleParts } from "../../../queues/replay/rule-parts.ts";
import { beginRules } from "../../../queues/replay/rule-progress.ts";
import { Slice } from "../../../queues/replay/slice.ts";
import { receiptName, ruleKey } from "../../../r2-layout/keys.ts";
import { receiptSigner, type SignedReceipt, verifyReceipt } from "../../../r2-layout/signed-receipt.ts";
import { packSubjects, type Subject, subjectHasher } from "../../../r2-layout/subjects.ts";
import { MapBucket } from "./map-bucket.ts";

const ID = "erasure-1";
const PEOPLE: readonly Subject[] = [
  { kind: "user", id: "ann" },
  { kind: "device", id: "ann's phone" },
];
const hash = subjectHasher("key");
const secret = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "der" }).toString("base64");

/** Erases at once; each fails as often as it is told to. */
function stores(failures: number): ErasureStore[] {
  return ERASURE_STORES.map((name) => {
    let left = failures;
    const fault = () => {
      if (left-- > 0) throw new Error("injected");
    };
    return {
      name,
      async erase(run) {
        fault();
        const replaced = [{ old: `${name}/old`, oldSha256: "aa", new: `${name}/new`, newSha256: "bb", bytes: 7 }];
        const found = run.subjects.length;
        return { done: true, position: null, found: { ...nothingFound("rows"), found, removed: found, replaced } };
      },
      verify: async () => ({ done: true, position: null, traces: 0, statement: `${name} was looked at` }),
    };
  });
}

/** A job whose rules are through, and whoever drives it. */
async function erasing(
  given: { failures?: number; mode?: ErasureSpec["mode"]; stage?: ErasureProgress["stage"] } = {},
) {
  const { failures = 0, mode = "erase", stage = mode === "erase" ? "stores" : "finish" } = given;
  const bucket = new MapBucket();
  await new JobStore(bucket, ID).put(SUBJECTS_OBJECT, PEOPLE);
  await new JobStore(bucket, ID).put("pairs/1.json.gz", [{ before: { user_id: "ann" } }]);
  await bucket.put(ruleKey(3), JSON.stringify({ filter: { subjects: packSubjects(PEOPLE.map(hash)) } }));
  const clock = { ms: 1_800_000_000_000 };
  let progress: unknown = {
    ...beginErasure(),
    stage,
    rules: { ...beginRules([]), versions: [3], places: [17] },
    subjects: { users: 1, devices: 1, emails: 0 },
    raisedAt: clock.ms,
  } satisfies ErasureProgress;
  const desk = {
    async save(_id: string, _token: number, change: JobChange) {
      if (change.progress !== undefined) progress = JSON.parse(JSON.stringify(change.progress));
      return { kind: "saved", state: "running" };
    },
  } as unknown as ReplayDeskApi;
  const erasure: { -readonly [member in keyof ErasureParts]: ErasureParts[member] } = {
    stores: stores(failures),
    hash,
    bucket,
    signer: () => receiptSigner(secret),
  };
  const logs = { getByName: () => ({ rules: async () => ({ version: 3, rules: [] }) }) };
  const parts = { bucket, logs } as unknown as RuleParts;
  const slice = async (state: Job["state"] = "running") => {
    const job = {
      ...{ id: ID, kind: "erasure", state, phase: "", progress, attempts: 0, createdAt: clock.ms, startedAt: clock.ms },
      spec: { kind: "erasure", mode, identifiers: 1, rate: 1 },
      meter: { read: 0, total: null, rate: 0 },
    } as unknown as Job;
    const lease = { token: 1, job, rules: 3 };
    return advanceErasure(new Slice(desk, lease, { now: () => clock.ms, ratePerSecond: 1 }), parts, erasure);
  };
  return { bucket, clock, erasure, slice };
}

type Erasing = Awaited<ReturnType<typeof erasing>>;

/** @returns the outcome. */
async function toEnd({ slice, clock }: Erasing): Promise<string> {
  for (let n = 0; n < 100; n++) {
    const end = await slice();
    if (end.kind === "state") {
      expect(end.state).toBe("done");
      return end.outcome!;
    }
    clock.ms += (end.inMs ?? 0) + 1;
  }
  throw new Error("it does not end");
}

const receiptIn = ({ bucket }: Erasing) => JSON.parse(bucket.text(receiptName(ID))!) as SignedReceipt<ErasureReceipt>;

describe("an erasure", () => {
  it.each([0, 3])(
    "promise 7: ends confirmed though every store fails %i times, with a receipt that verifies",
    async (failures) => {
      const job = await erasing({ failures });
      expect(await toEnd(job)).toBe(`confirmed by every store, ${2 * ERASURE_STORES.length} removed`);
      const signed = receiptIn(job);
      expect(await verifyReceipt(signed)).toMatchObject({ ok: true });
      expect(signed.receipt.stores.map(({ store }) => store)).toEqual(ERASURE_STORES);
      expect(signed.receipt.stores[0]).toMatchObject({
        ...{ unit: "rows", found: 2, removed: 2, statement: "lake was looked at", replaced_beyond: 0 },
        replaced: [{ old: "lake/old", old_sha256: "aa", new: "lake/new", new_sha256: "bb", bytes: 7 }],
      });
      expect(signed.receipt.subjects.hashes).toEqual(PEOPLE.map(hash).sort());
      const tampered = { ...signed, receipt: { ...signed.receipt, completed_at: "2026-01-01T00:00:00.000Z" } };
      expect(await verifyReceipt(tampered)).toMatchObject({ ok: false, error: { reason: "tampered" } });
    },
  );

  it("promise 7: leaves no name and nothing of its own but the receipt, which has hashes only", async () => {
    const job = await erasing();
    await toEnd(job);
    const keys = [...job.bucket.objects.keys()];
    expect(keys.filter((key) => key.startsWith("jobs/"))).toEqual([]);
    for (const key of keys) expect(job.bucket.text(key)).not.toContain("ann");
    expect(keys).toContain(receiptName(ID));
  });

  it("is open while its receipt cannot be signed, and names are gone only when it can", async () => {
    const job = await erasing();
    const { signer } = job.erasure;
    job.erasure.signer = async () => {
      throw new Error("RECEIPT_KEY is not set");
    };
    await expect(toEnd(job)).rejects.toThrow("RECEIPT_KEY");
    expect(job.bucket.text(receiptName(ID))).toBeNull();
    job.erasure.signer = signer;
    await toEnd(job);
    expect(await verifyReceipt(receiptIn(job))).toMatchObject({ ok: true });
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8])(
    "ends with a whole receipt though its end was cut before write or deletion %i",
    async (cutAt) => {
      const job = await erasing();
      let changes = 0;
      const cut = new Proxy(job.bucket, {
        get(bucket, name: "put") {
          const method = bucket[name];
          if (typeof method !== "function") return method;
          return (...args: Parameters<typeof method>) => {
            if ((name === "put" || (name as string) === "delete") && ++changes === cutAt) throw new Error("cut");
            return method.apply(bucket, args);
          };
        },
      });
      job.erasure.bucket = cut;
      for (let n = 0; n < 5; n++) {
        try {
          await toEnd(job);
          break;
        } catch (error) {
          expect(String(error)).toContain("cut");
        }
      }
      const { receipt } = receiptIn(job);
      expect(receipt.stores.map(({ replaced }) => replaced.length)).toEqual(ERASURE_STORES.map(() => 1));
      expect([...job.bucket.objects.keys()].filter((key) => key.startsWith("jobs/"))).toEqual([]);
    },
  );

  it("is not begun where a store has nobody who erases it: a receipt would say more than is true", async () => {
    const job = await erasing({ stage: "begin" });
    job.erasure.stores = job.erasure.stores.filter(({ name }) => name !== "log");
    await expect(job.slice()).rejects.toThrow("there is nobody to erase log");
  });

  it("that is a suppression takes nothing out, and its receipt says so", async () => {
    const job = await erasing({ mode: "suppress" });
    expect(await toEnd(job)).toBe("kept out from now on");
    const { receipt } = receiptIn(job);
    expect(receipt).toMatchObject({ mode: "suppress", stores: [] });
    expect(receipt.limits[0]).toContain("takes nothing out");
  });

  it("that is cancelled leaves no name", async () => {
    const job = await erasing({ stage: "begin" });
    expect(await job.slice("cancelling")).toMatchObject({ state: "cancelled" });
    expect([...job.bucket.objects.keys()].filter((key) => key.startsWith("jobs/"))).toEqual([]);
  });

  it("knows from the rule's object whom it was about", async () => {
    const { bucket } = await erasing();
    expect(await ruleSubjects(bucket, 3)).toEqual(new Set(PEOPLE.map(hash)));
    await expect(ruleSubjects(bucket, 4)).rejects.toThrow("missing");
  });
});

describe("who is erased", () => {
  const [ann, phone] = PEOPLE as readonly [Subject, Subject];
  const kiosk: Subject = { kind: "device", id: "kiosk" };
  const preview = {
    asked: [ann],
    links: [
      { subject: phone, via: ann, shared: false },
      { subject: kiosk, via: ann, shared: true },
    ],
    complete: true,
  };

  it("is whoever was asked for and belongs to nobody else, and shared ones only where they are included", () => {
    expect(confirmedSubjects(preview, [], [])).toEqual([ann, phone]);
    expect(confirmedSubjects(preview, [], [kiosk])).toEqual([ann, phone, kiosk]);
    expect(confirmedSubjects(preview, [phone], [])).toEqual([ann]);
    // Somebody whom the preview did not show is not taken because a confirmation names them.
    expect(confirmedSubjects(preview, [ann], [{ kind: "user", id: "bob" }])).toEqual([phone]);
  });
});
