/** The registry of a running system, over HTTP. */
import type { CompatibilityBreak } from "../../r2-layout/contracts/compatibility.ts";
import { addTrial, type TrialJson, type TrialSum } from "../../workers/trial-json.ts";

export type PushAnswer =
  | { readonly kind: "registered" | "known" | "passes" }
  /** In lines. */
  | {
      readonly kind: "refused";
      readonly title: string;
      readonly detail: string;
      readonly breaks: readonly CompatibilityBreak[];
    };

export class RegistryClient {
  readonly #url: string;
  readonly #token: string;

  constructor(url: string, token: string) {
    this.#url = url;
    this.#token = token;
  }

  /** @param text the document. @param trial only whether it would be registered. @throws Error where nobody answers, or answers something else */
  async push(text: string, trial: boolean): Promise<PushAnswer> {
    const response = await this.#fetch(`/v1/contracts${trial ? "?try=1" : ""}`, { method: "POST", body: text });
    const body = (await response.json()) as Record<string, unknown>;
    if (response.ok) return { kind: body.state as "registered" };
    if (response.status !== 409 && response.status !== 422)
      throw new Error(`the registry answered ${response.status}: ${JSON.stringify(body)}`);
    const {
      title,
      detail = "",
      path = "",
      breaks = [],
    } = body as Record<string, string> & { breaks?: CompatibilityBreak[] };
    return { kind: "refused", title: title!, detail: `${path} ${detail}`.trim(), breaks };
  }

  /** The newest version that it has of an event, null where it has none. */
  async latest(eventName: string): Promise<{ readonly version: number; readonly document: unknown } | null> {
    const response = await this.#fetch(`/v1/contracts/${encodeURIComponent(eventName)}/latest`);
    if (response.status === 404) return null;
    if (!response.ok) throw new Error(`the registry answered ${response.status}: ${await response.text()}`);
    return (await response.json()) as { version: number; document: unknown };
  }

  /** The document against what the log has recorded. @param told after each part. @throws Error where nobody answers, or answers something else */
  async try(
    eventName: string,
    asked: { readonly document: unknown; readonly hours: number; readonly source?: string },
    told: (sum: TrialSum) => void,
  ): Promise<TrialSum> {
    let sum: TrialSum | null = null;
    for (let cursor: string | null = null; ; ) {
      const body = JSON.stringify({ ...asked, ...(cursor !== null && { cursor }) });
      const path = `/v1/contracts/${encodeURIComponent(eventName)}/trials`;
      const response = await this.#fetch(path, { method: "POST", body });
      if (!response.ok) throw new Error(`the registry answered ${response.status}: ${await response.text()}`);
      const answer = (await response.json()) as TrialJson;
      sum = addTrial(sum, answer);
      told(sum);
      cursor = answer.next;
      if (cursor === null) return sum;
    }
  }

  async #fetch(path: string, init: RequestInit = {}): Promise<Response> {
    try {
      return await fetch(this.#url + path, { ...init, headers: { authorization: `Bearer ${this.#token}` } });
    } catch (error) {
      throw new Error(`${this.#url} cannot be reached: ${error instanceof Error ? (error.cause ?? error) : error}`);
    }
  }
}
