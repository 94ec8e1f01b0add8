/** What is left of a request: shown, checked here, and to be taken along and checked elsewhere. */
import { useEffect, useState } from "preact/hooks";
import type { ErasureReceipt } from "../../../queues/erasure/receipt.ts";
import type { SignedReceipt } from "../../../r2-layout/signed-receipt.ts";
import { request, requestBlob } from "../shell/api.ts";
import { formatCount, formatCounted } from "../shell/format.ts";
import type { Problem } from "../shell/problem.ts";
import { Failed, Loading } from "../shell/states.tsx";
import { type Check, checkReceipt } from "./check-receipt.ts";

interface Read {
  readonly signed: SignedReceipt<ErasureReceipt>;
  readonly check: Check;
}

export function ReceiptCard({ path, id }: { path: string; id: string }) {
  const [read, setRead] = useState<Read | Problem | null>(null);
  useEffect(() => {
    void readReceipt(path).then(setRead);
  }, [path]);
  if (read === null) return <Loading what="the receipt" />;
  if (!("signed" in read)) return <Failed problem={read} scope="admin" />;
  const { signed, check } = read;
  const { receipt } = signed;
  const replaced = receipt.stores.reduce((sum, store) => sum + store.replaced.length + store.replaced_beyond, 0);
  return (
    <section class="card receipt">
      <h2>Receipt</h2>
      <p class={check.kind === "tampered" ? "warn" : "good"} role="status">
        {checkText(check)}
      </p>
      <p class="quiet">
        Signed by key <code>{signed.key.id}</code>. It names nobody: it has{" "}
        {formatCount(receipt.subjects.hashes.length)} keyed hashes. {formatCounted(replaced, "object")} replaced.
      </p>
      <ul class="statements">
        {receipt.stores.map((store) => (
          <li key={store.store}>
            <strong>{store.store}</strong> {store.statement}
          </li>
        ))}
      </ul>
      <details>
        <summary>What it cannot promise</summary>
        <ul class="statements">
          {receipt.limits.map((limit) => (
            <li key={limit}>{limit}</li>
          ))}
        </ul>
      </details>
      <details>
        <summary>The whole receipt</summary>
        <pre>{JSON.stringify(signed, null, 1)}</pre>
      </details>
      <div class="actions">
        <button type="button" class="primary" onClick={() => void download(path, id)}>
          Download
        </button>
        <p class="quiet">
          To check elsewhere: <code>npm run verify-receipt -- {id}.json</code>
        </p>
      </div>
    </section>
  );
}

async function readReceipt(path: string): Promise<Read | Problem> {
  const [receipt, keys] = await Promise.all([
    request<SignedReceipt<ErasureReceipt>>(path),
    request<{ keys: readonly { public: string }[] }>("/v1/erasures/key"),
  ]);
  if (!receipt.ok) return receipt.error;
  const trusted = keys.ok ? keys.value.keys.map((key) => key.public) : [];
  return { signed: receipt.value, check: await checkReceipt(receipt.value, trusted) };
}

function checkText(check: Check): string {
  switch (check.kind) {
    case "holds":
      return check.isTrusted
        ? "✓ It holds: this is what was signed, by one of this system's keys."
        : "✓ It is whole, but signed by a key that this system does not name.";
    case "tampered":
      return "⚠ It does not hold: this is not what was signed.";
    case "unable":
      return "This browser cannot check the signature.";
  }
}

/** As it was written, byte for byte. */
async function download(path: string, id: string): Promise<void> {
  const file = await requestBlob(path);
  if (!file.ok) return;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file.value);
  link.download = `${id}.json`;
  link.click();
  URL.revokeObjectURL(link.href);
}
