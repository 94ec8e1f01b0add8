/** One cause: how much of it, since when, what was sent beside what was agreed, and the fix. */
import { usePoll } from "../operations/use-poll.ts";
import { formatClock, formatCount, formatCounted, formatDay } from "../shell/format.ts";
import { Failed, Loading } from "../shell/states.tsx";
import { type CauseJson, type SampleJson, type SamplesJson, samplesPath } from "./causes.ts";
import { FixForm } from "./fix-form.tsx";
import { HealthCard } from "./health-card.tsx";

const EVERY_MS = 30_000;

export function CauseDetail({ cause, refresh }: { cause: CauseJson; refresh: () => void }) {
  const polled = usePoll<SamplesJson>(samplesPath(cause), EVERY_MS);
  const found = polled.value;
  const done = () => {
    polled.refresh();
    refresh();
  };
  return (
    <div class="detail-cards">
      <section class="card">
        <h2>
          {cause.event}: <code>{cause.field ?? "the event"}</code> {cause.expected}
        </h2>
        <dl class="facts">
          <Fact name="Kept apart">{formatCounted(found?.events ?? cause.events, "event")}</Fact>
          <Fact name="In events by now">{found ? formatCount(found.in_events) : "…"}</Fact>
          <Fact name="From">
            {cause.source}
            {cause.app_version && `, app version ${cause.app_version}`}
          </Fact>
          <Fact name="Contract version">{cause.contract_version ?? "–"}</Fact>
          <Fact name="First">{placeText(cause.first)}</Fact>
          <Fact name="Last">{placeText(cause.last)}</Fact>
        </dl>
      </section>
      {found === null ? (
        polled.problem ? (
          <Failed problem={polled.problem} scope="admin" retry={polled.refresh} />
        ) : (
          <Loading what="samples" />
        )
      ) : (
        <>
          <section class="card">
            <h2>Sent, and agreed</h2>
            <div class="beside">
              <Samples samples={found.samples} />
              <Agreed cause={cause} contract={found.contract} />
            </div>
          </section>
          <FixForm cause={cause} versions={found.versions} done={done} />
          <HealthCard event={cause.event} />
        </>
      )}
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

const placeText = ({ at, shard, seq }: CauseJson["first"]): string => {
  const ms = Date.parse(at);
  return `${formatDay(ms)}, ${formatClock(ms)} (shard ${shard}, segment ${seq})`;
};

function Samples({ samples }: { samples: readonly SampleJson[] }) {
  return (
    <div>
      <h3>{formatCounted(samples.length, "sample")}</h3>
      {samples.map((sample, i) => (
        <details key={`${sample.shard}/${sample.seq}/${sample.event_id}`} open={i === 0}>
          <summary>
            <code>{sample.event_id}</code> <span class="warn">has {sample.actual ?? "nothing"}</span>
          </summary>
          <pre>{pretty(sample.raw)}</pre>
        </details>
      ))}
    </div>
  );
}

function Agreed({ cause, contract }: { cause: CauseJson; contract: SamplesJson["contract"] }) {
  if (!contract) return <p class="quiet">The contract is not registered here.</p>;
  const { document, version } = contract;
  const name = cause.field?.split(".")[1] ?? "";
  const properties = document.properties as Readonly<Record<string, unknown>> | undefined;
  const field = properties && Object.hasOwn(properties, name) ? properties[name] : undefined;
  return (
    <div>
      <h3>
        Version {version} <span class="quiet">by {String(document["x-owner"])}</span>
      </h3>
      <p>{String(document.description)}</p>
      {field !== undefined && (
        <>
          <p class="quiet">
            Of <code>{name}</code>
            {(document.required as readonly string[] | undefined)?.includes(name) && ", which is required"}:
          </p>
          <pre>{JSON.stringify(field, null, 2)}</pre>
        </>
      )}
      <details>
        <summary>The whole contract</summary>
        <pre>{JSON.stringify(document, null, 2)}</pre>
      </details>
    </div>
  );
}

/** A long one was cut, and is shown as it is. */
function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
