import { expect, it } from "vitest";
import { ICEBERG, SECOND_MS } from "../../../r2-layout/limits.ts";
import { readCredentials } from "../../../workers/edge/iceberg-credentials.ts";

const SETTINGS = {
  BUCKET_NAME: "lake-bucket",
  R2_ACCOUNT_ID: "acc",
  R2_API_TOKEN: "secret-token",
  R2_PARENT_ACCESS_KEY_ID: "parent",
};

function r2(answer: () => Response) {
  const asked: { url: string; headers: Headers; body: Record<string, unknown> }[] = [];
  const fetcher = (async (url: string, init: RequestInit) => {
    asked.push({ url, headers: new Headers(init.headers), body: JSON.parse(String(init.body)) });
    return answer();
  }) as unknown as typeof fetch;
  return { asked, fetcher };
}

it("asks R2 for credentials that read below the table's prefix and no more, and hands them out for half of their time", async () => {
  let nowMs = 1_000_000;
  const { asked, fetcher } = r2(() =>
    Response.json({ result: { accessKeyId: `k${asked.length}`, secretAccessKey: "s", sessionToken: "t" } }),
  );
  const credentials = readCredentials(SETTINGS, () => nowMs, fetcher);
  const config = await credentials("events", "https://edge.example");
  expect(config).toMatchObject({
    "s3.endpoint": "https://acc.r2.cloudflarestorage.com",
    "s3.access-key-id": "k1",
    "s3.session-token": "t",
    "s3.session-token-expires-at-ms": String(nowMs + ICEBERG.credentialSeconds * SECOND_MS),
  });
  expect(asked[0]).toMatchObject({
    url: "https://api.cloudflare.com/client/v4/accounts/acc/r2/temp-access-credentials",
    body: {
      bucket: "lake-bucket",
      parentAccessKeyId: "parent",
      permission: "object-read-only",
      prefixes: ["lake/events/"],
      ttlSeconds: ICEBERG.credentialSeconds,
    },
  });
  expect(asked[0]!.headers.get("authorization")).toBe("Bearer secret-token");
  nowMs += (ICEBERG.credentialSeconds * SECOND_MS) / 2 - 1;
  expect(await credentials("events", "https://edge.example")).toBe(config);
  nowMs += 1;
  expect(await credentials("events", "https://edge.example")).toMatchObject({ "s3.access-key-id": "k2" });
  await credentials("quarantine", "https://edge.example");
  expect(asked.map(({ body }) => body.prefixes)).toEqual([["lake/events/"], ["lake/events/"], ["lake/quarantine/"]]);
});

it("fails loudly where R2 gives none, and asks again the next time", async () => {
  const { asked, fetcher } = r2(() =>
    asked.length === 1
      ? Response.json({ errors: [{ code: 10_000 }] }, { status: 403 })
      : Response.json({ result: { accessKeyId: "k", secretAccessKey: "s", sessionToken: "t" } }),
  );
  const credentials = readCredentials(SETTINGS, () => 0, fetcher);
  await expect(credentials("events", "")).rejects.toThrow("403");
  expect(await credentials("events", "")).toMatchObject({ "s3.access-key-id": "k" });
});

it("hands out the local run's own keys for its own origin, and none where nothing is configured", async () => {
  const local = readCredentials({ LOCAL_S3_KEYS: "local:pass" }, () => 0);
  expect(await local("events", "http://localhost:8787")).toMatchObject({
    "s3.endpoint": "http://localhost:8787",
    "s3.access-key-id": "local",
    "s3.secret-access-key": "pass",
    "s3.path-style-access": "true",
  });
  expect(await readCredentials({ R2_ACCOUNT_ID: "acc" }, () => 0)("events", "https://edge.example")).toEqual({});
});

it("names the address of the bucket's jurisdiction: a bucket there is found at no other", async () => {
  const { fetcher } = r2(() =>
    Response.json({ result: { accessKeyId: "k", secretAccessKey: "s", sessionToken: "t" } }),
  );
  const credentials = readCredentials({ ...SETTINGS, JURISDICTION: "eu" }, () => 0, fetcher);
  expect(await credentials("events", "https://edge.example")).toMatchObject({
    "s3.endpoint": "https://acc.eu.r2.cloudflarestorage.com",
  });
});
