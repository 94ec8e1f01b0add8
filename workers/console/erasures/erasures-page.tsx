/** People who have asked to be forgotten: a request, whom it is about, how far each store is, and what is left of it. */
import { useEffect, useState } from "preact/hooks";
import type { ErasureCheckJson, ErasureJson } from "../../erasure-json.ts";
import { usePoll } from "../operations/use-poll.ts";
import { formatCounted, formatWhen } from "../shell/format.ts";
import { Failed, Loading } from "../shell/states.tsx";
import { CheckCard } from "./check-card.tsx";
import { ErasureDetail } from "./erasure-detail.tsx";
import { isOpen, stateText } from "./erasures.ts";
import { RequestForm } from "./request-form.tsx";

const EVERY_MS = 5_000;
const NEW = "new";

interface ListJson {
  readonly check: ErasureCheckJson | null;
  readonly erasures: readonly ErasureJson[];
  /** Of older ones. */
  readonly next: string | null;
}

export function ErasuresPage() {
  const { value, problem, refresh } = usePoll<ListJson>("/v1/erasures?limit=50", EVERY_MS);
  // The address has a request's number, so that it can be sent to somebody; nobody's name.
  const [chosen, setChosen] = useState(location.hash.slice(1));
  useEffect(() => {
    const followed = () => setChosen(location.hash.slice(1));
    addEventListener("hashchange", followed);
    return () => removeEventListener("hashchange", followed);
  }, []);
  if (value === null) {
    return problem ? <Failed problem={problem} scope="admin" retry={refresh} /> : <Loading what="requests" />;
  }
  const { erasures } = value;
  const at = chosen === "" ? (erasures.find(isOpen)?.id ?? NEW) : chosen;
  return (
    <>
      <div class="title">
        <h1>Erasures</h1>
        <p class="quiet">people who have asked to be forgotten, or to be kept out</p>
      </div>
      {problem && (
        <p class="notice" role="alert">
          This cannot be read anew at the moment: {problem.title}
        </p>
      )}
      <div class="desk">
        <div class="detail-cards">
          <nav class="card requests" aria-label="Requests">
            <a class="request" href={`#${NEW}`} aria-current={at === NEW ? "true" : undefined}>
              <span class="request-name">New request</span>
            </a>
            {erasures.map((erasure) => (
              <Entry key={erasure.id} erasure={erasure} isHere={erasure.id === at} />
            ))}
            {value.next !== null && <p class="quiet">Older ones: GET /v1/erasures?cursor={value.next}</p>}
          </nav>
          {value.check && <CheckCard check={value.check} />}
        </div>
        {at === NEW ? (
          <RequestForm
            asked={({ id }) => {
              location.hash = id;
              refresh();
            }}
          />
        ) : (
          <ErasureDetail key={at} id={at} changed={refresh} />
        )}
      </div>
    </>
  );
}

function Entry({ erasure, isHere }: { erasure: ErasureJson; isHere: boolean }) {
  return (
    <a class="request" href={`#${erasure.id}`} aria-current={isHere ? "true" : undefined}>
      <span class="request-name">
        {erasure.mode === "erase" ? "Erase" : "Keep out"} {formatCounted(erasure.identifiers, "identifier")}
      </span>
      <span class={erasure.overdue || erasure.state === "failed" ? "warn" : "quiet"}>{stateText(erasure)}</span>
      <span class="quiet">{formatWhen(Date.parse(erasure.requested_at), Date.now())}</span>
    </a>
  );
}
