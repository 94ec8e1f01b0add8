/** One request: before its confirmation whom it is about, then how far each store is, at its end the receipt. */
import { useState } from "preact/hooks";
import type { ErasurePreviewJson, SubjectCountsJson } from "../../erasure-json.ts";
import { usePoll } from "../operations/use-poll.ts";
import { formatCounted, formatDuration, formatWhen } from "../shell/format.ts";
import type { Problem } from "../shell/problem.ts";
import { Failed, Loading } from "../shell/states.tsx";
import { isOpen, pathOf, resume, stateText, withdraw } from "./erasures.ts";
import { PreviewCard } from "./preview-card.tsx";
import { ReceiptCard } from "./receipt-card.tsx";
import { StoreTable } from "./store-table.tsx";

const EVERY_MS = 2_000;

export function ErasureDetail({ id, changed }: { id: string; changed: () => void }) {
  const { value: erasure, problem, refresh } = usePoll<ErasurePreviewJson>(pathOf(id), EVERY_MS);
  const [fault, setFault] = useState<Problem | null>(null);
  if (erasure === null) {
    return problem ? <Failed problem={problem} scope="admin" retry={refresh} /> : <Loading what="the request" />;
  }
  const done = (found: Problem | null) => {
    setFault(found);
    refresh();
    changed();
  };
  const act = async (what: typeof resume | typeof withdraw) => {
    const answer = await what(id);
    done(answer.ok ? null : answer.error);
  };
  return (
    <div class="detail-cards">
      <section class="card">
        <h2>
          {erasure.mode === "erase" ? "Erase" : "Keep out"} {formatCounted(erasure.identifiers, "identifier")}:{" "}
          <span class={erasure.overdue || erasure.state === "failed" ? "warn" : ""}>{stateText(erasure)}</span>
        </h2>
        <dl class="facts">
          <Fact name="Request">
            <code>{erasure.id}</code>
          </Fact>
          <Fact name="Asked">{at(erasure.requested_at)}</Fact>
          {erasure.subjects && <Fact name="About">{countsText(erasure.subjects)}</Fact>}
          {erasure.confirmed_at && <Fact name="Confirmed">{at(erasure.confirmed_at)}</Fact>}
          {erasure.kept_out_since && <Fact name="Kept out since">{at(erasure.kept_out_since)}</Fact>}
          {erasure.due_at && isOpen(erasure) && <Fact name="Due">{dueText(erasure.due_at)}</Fact>}
          {erasure.why && erasure.state !== "preview" && <Fact name="Open because">{erasure.why}</Fact>}
          {erasure.outcome && <Fact name="Outcome">{erasure.outcome}</Fact>}
          {erasure.ended_at && <Fact name="Ended">{at(erasure.ended_at)}</Fact>}
        </dl>
        {fault && (
          <p class="notice" role="alert">
            {[fault.title, fault.detail].filter(Boolean).join(": ")}
          </p>
        )}
        <div class="actions">
          {erasure.actions.includes("resume") && (
            <button type="button" class="primary" onClick={() => void act(resume)}>
              Resume
            </button>
          )}
          {erasure.actions.includes("cancel") && (
            <button type="button" onClick={() => void act(withdraw)}>
              Withdraw the request
            </button>
          )}
        </div>
      </section>
      {erasure.closure && <PreviewCard erasure={erasure} closure={erasure.closure} done={done} />}
      {erasure.stores.length > 0 && <StoreTable stores={erasure.stores} />}
      {erasure.receipt && <ReceiptCard path={erasure.receipt} id={erasure.id} />}
    </div>
  );
}

function Fact({ name, children }: { name: string; children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

const at = (iso: string): string => formatWhen(Date.parse(iso), Date.now());

function dueText(iso: string): string {
  const leftMs = Date.parse(iso) - Date.now();
  return leftMs > 0 ? `in ${formatDuration(leftMs)}` : `${formatDuration(-leftMs)} ago`;
}

export function countsText({ users, devices, emails }: SubjectCountsJson): string {
  const parts = [
    users > 0 && formatCounted(users, "user"),
    devices > 0 && formatCounted(devices, "device"),
    emails > 0 && `${emails} e-mail ${emails === 1 ? "address" : "addresses"}`,
  ].filter(Boolean);
  return parts.length === 0 ? "nobody" : parts.join(", ");
}
