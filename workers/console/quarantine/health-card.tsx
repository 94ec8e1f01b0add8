/** What share of an event's hours kept to its contract, and which properties they had: by hour and source, the newest first. */
import { usePoll } from "../operations/use-poll.ts";
import { formatCount, formatMinute, formatShare } from "../shell/format.ts";
import { Scroll } from "../shell/scroll.tsx";
import { Failed, Loading } from "../shell/states.tsx";

const EVERY_MS = 60_000;
const SHOWN = 12;

interface HourJson {
  readonly source: string;
  /** ISO 8601. */
  readonly hour: string;
  readonly events: number;
  readonly quarantined: number;
  readonly failure_rate: number;
  readonly coverage: Readonly<Record<string, number>>;
  readonly broken: readonly { readonly expectation: string; readonly field: string | null }[];
}

interface HealthJson {
  readonly fields: readonly string[];
  readonly hours: readonly HourJson[];
}

export function HealthCard({ event }: { event: string }) {
  const path = `/v1/contracts/${encodeURIComponent(event)}/health`;
  const { value, problem, refresh } = usePoll<HealthJson>(path, EVERY_MS);
  return (
    <section class="card health">
      <h2>By hour</h2>
      <p class="quiet">
        Of all that came, those kept apart among them: how many broke the contract, and how many have what it asks for.
      </p>
      {value === null ? (
        problem ? (
          <Failed problem={problem} scope="sql" retry={refresh} />
        ) : (
          <Loading what="the last hours" />
        )
      ) : (
        <Scroll label="By hour and source">
          <table>
            <thead>
              <tr>
                <th scope="col">Hour</th>
                <th scope="col">Source</th>
                <th scope="col" class="number">
                  Came
                </th>
                <th scope="col" class="number">
                  Kept apart
                </th>
                {value.fields.map((field) => (
                  <th key={field} scope="col" class="number">
                    <code>{field}</code>
                  </th>
                ))}
                <th scope="col">Not as expected</th>
              </tr>
            </thead>
            <tbody>
              {value.hours.slice(0, SHOWN).map((hour) => (
                <HourRow key={`${hour.hour} ${hour.source}`} hour={hour} fields={value.fields} />
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
    </section>
  );
}

function HourRow({ hour, fields }: { hour: HourJson; fields: readonly string[] }) {
  return (
    <tr>
      <td>{formatMinute(Date.parse(hour.hour))}</td>
      <td>{hour.source}</td>
      <td class="number">{formatCount(hour.events + hour.quarantined)}</td>
      <td class={hour.quarantined > 0 ? "number warn" : "number"}>{formatShare(hour.failure_rate)}</td>
      {fields.map((field) => (
        <td key={field} class="number">
          {formatShare(hour.coverage[field] ?? 0)}
        </td>
      ))}
      <td>{hour.broken.map(({ expectation, field }) => [expectation, field].filter(Boolean).join(" ")).join(", ")}</td>
    </tr>
  );
}
