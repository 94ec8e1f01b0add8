/** Whether the pipeline is well, in five seconds; below it what explains each figure. */
import { useEffect, useState } from "preact/hooks";
import type { OperationsJson } from "../../operations-json.ts";
import { formatClock } from "../shell/format.ts";
import { Failed, Loading } from "../shell/states.tsx";
import { ContractsCard } from "./contracts-card.tsx";
import { CostCard } from "./cost-card.tsx";
import { CutList } from "./cut-list.tsx";
import { Figures } from "./figures.tsx";
import { healthOf } from "./health.ts";
import { JobList } from "./job-list.tsx";
import { PiiCard } from "./pii-card.tsx";
import { PressureCard } from "./pressure-card.tsx";
import { QuarantineList } from "./quarantine-list.tsx";
import { ShardTable } from "./shard-table.tsx";
import { SinkCard } from "./sink-card.tsx";
import { SourceTable } from "./source-table.tsx";
import { type Sample, withSample } from "./trail.ts";
import { usePoll } from "./use-poll.ts";

const EVERY_MS = 2_000;

export function OperationsPage() {
  const polled = usePoll<OperationsJson>("/v1/operations", EVERY_MS);
  const trail = useTrail(polled.value);
  const operations = polled.value;
  if (operations === null) {
    return polled.problem ? (
      <Failed problem={polled.problem} scope="admin" retry={polled.refresh} />
    ) : (
      <Loading what="the figures" />
    );
  }
  const isStale = polled.problem !== null;
  return (
    <>
      <div class="title">
        <h1>Operations</h1>
        <p class="quiet">as of {formatClock(polled.at)}</p>
      </div>
      {isStale && (
        <p class="notice" role="alert">
          The figures cannot be read at the moment ({polled.problem!.title}); these are from {formatClock(polled.at)}.
        </p>
      )}
      <div class={isStale ? "glance is-stale" : "glance"}>
        <Verdict operations={operations} />
        <Figures operations={operations} trail={trail} />
        <SinkCard sinks={operations.sinks} trail={trail} />
      </div>
      <QuarantineList />
      <ContractsCard {...operations} />
      <PiiCard {...operations} />
      <JobList />
      <PressureCard {...operations} />
      <CostCard {...operations} />
      <ShardTable ledger={operations.ledger} />
      <CutList stored={operations.ledger.stored} lake={operations.lake} />
      <SourceTable ledger={operations.ledger} />
    </>
  );
}

function useTrail(operations: OperationsJson | null): readonly Sample[] {
  const [trail, setTrail] = useState<readonly Sample[]>([]);
  useEffect(() => {
    if (operations) setTrail((known) => withSample(known, operations));
  }, [operations]);
  return trail;
}

function Verdict({ operations }: { operations: OperationsJson }) {
  const { state, sentence, matters } = healthOf(operations);
  return (
    <section class={`card verdict ${state}`} aria-live="polite">
      <h2>{sentence}</h2>
      {matters.length > 0 && (
        <ul>
          {matters.map(({ text, at }) => (
            <li key={text}>
              <a href={at}>{text}</a>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
