/** Where events hold what says who somebody is and no contract declares it. Names of fields and counts: a found value is nowhere. */
import type { PiiJson } from "../../operations-json.ts";
import { formatCount, formatShare } from "../shell/format.ts";
import { Scroll } from "../shell/scroll.tsx";

const KINDS: Readonly<Record<string, string>> = {
  email: "e-mail address",
  phone: "phone number",
  card_number: "card number",
  token: "token",
  email_in_url: "e-mail address in a URL",
  token_in_url: "token in a URL",
};

export function PiiCard({ pii }: { pii: PiiJson }) {
  const { audited_at, findings, sampled, left } = pii;
  if (audited_at === null) return null;
  return (
    <section class="card" id="pii">
      <h2>Undeclared personal data</h2>
      <p class="quiet">
        {formatCount(sampled)} events of the last days were looked at, last on {minuteOf(audited_at)} UTC.{" "}
        {findings.length === 0 ? "Nothing was found." : "What a contract declares is not listed."}
      </p>
      {findings.length > 0 && (
        <Scroll label="Fields with undeclared personal data">
          <table class="ledger">
            <thead>
              <tr>
                <th>Source</th>
                <th>Event</th>
                <th>Field</th>
                <th>What</th>
                <th class="number">Share</th>
                <th>Last seen</th>
              </tr>
            </thead>
            <tbody>
              {findings.map((one) => (
                <tr key={`${one.source} ${one.event_name} ${one.field} ${one.kind}`} class="first">
                  <td>{one.source}</td>
                  <td>{one.event_name}</td>
                  <td>
                    <code>{one.field}</code>
                  </td>
                  <td>{KINDS[one.kind] ?? one.kind}</td>
                  <td class="number">{formatShare(one.sampled === 0 ? 1 : one.events / one.sampled)}</td>
                  <td>{minuteOf(one.newest_at)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
      {left > 0 && <p class="quiet">And {formatCount(left)} more that there was no room for.</p>}
    </section>
  );
}

/** Of an ISO time: the search is a day's, and so may be what it found. */
const minuteOf = (iso: string): string => iso.slice(0, 16).replace("T", " ");
