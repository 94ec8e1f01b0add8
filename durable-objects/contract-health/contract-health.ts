/** The class joins RPC, transactions and the alarm: what an hour breaks and who is to be told of it are one transaction. */
import { DurableObject } from "cloudflare:workers";
import type { Expectations } from "../../r2-layout/contracts/contract.ts";
import { HEALTH, HOUR_MS } from "../../r2-layout/limits.ts";
import type { Break, ContractHealthApi, HealthOverview, HourReport, NewWebhook } from "./api.ts";
import { deliverDue, newSecret } from "./deliver.ts";
import { HealthTable } from "./health-table.ts";
import { type Message, WebhookTable } from "./webhook-table.ts";

export class ContractHealth extends DurableObject implements ContractHealthApi {
  readonly #health: HealthTable;
  readonly #webhooks: WebhookTable;

  constructor(ctx: DurableObjectState, env: unknown) {
    super(ctx, env as never);
    [this.#health, this.#webhooks] = ctx.storage.transactionSync(() => [
      new HealthTable(ctx.storage.sql),
      new WebhookTable(ctx.storage.sql),
    ]);
  }

  async open(nowMs: number): Promise<number[]> {
    return this.#health.openHours(nowMs - (nowMs % HOUR_MS) - HOUR_MS);
  }

  async todo(hour: number, eventNames: readonly string[], isFinal: boolean): Promise<string[]> {
    return eventNames.filter((name) => {
      const stored = this.#health.stored(name, hour);
      return stored === null || (isFinal && !stored.isFinal);
    });
  }

  async report(report: HourReport, expectations: Expectations | null): Promise<"kept" | "judged" | "known"> {
    const told = this.#transaction(() => {
      const { eventName, hour, sources } = report;
      if (this.#health.stored(eventName, hour)?.isFinal) return null;
      const left = report.left + Math.max(0, sources.length - HEALTH.sources);
      const bounded = { ...report, sources: sources.slice(0, HEALTH.sources), left };
      this.#health.put(bounded, expectations !== null);
      const breaks = expectations ? this.#health.judge(bounded, expectations) : [];
      for (const one of breaks) this.#send(messageOf(one));
      return breaks;
    });
    await this.#arm();
    if (told === null) return "known";
    return expectations ? "judged" : "kept";
  }

  async finish(hour: number, leftEvents: number): Promise<void> {
    this.#transaction(() => {
      for (const one of this.#health.finish(hour, leftEvents)) this.#send(messageOf(one));
    });
    await this.#arm();
  }

  async overview(): Promise<HealthOverview> {
    const { judged } = this.#health;
    return {
      judged: judged?.hour ?? null,
      leftEvents: judged?.leftEvents ?? 0,
      leftBreaks: this.#health.leftBreaks,
      hours: this.#health.newestHours(HEALTH.events),
      breaks: this.#health.openBreaks(HEALTH.breaksTold),
      open: this.#health.open,
      webhooks: this.#webhooks.list(),
    };
  }

  async event(eventName: string) {
    return { hours: this.#health.hours(eventName), breaks: this.#health.breaks(eventName, HEALTH.breaksTold) };
  }

  async addWebhook(webhook: NewWebhook): Promise<{ readonly id: string; readonly secret: string } | "full"> {
    const [id, secret] = [crypto.randomUUID(), newSecret()];
    return this.#webhooks.add(webhook, id, secret, Date.now()) ? { id, secret } : "full";
  }

  async removeWebhook(id: string): Promise<boolean> {
    return this.#transaction(() => this.#webhooks.remove(id));
  }

  async testWebhook(id: string): Promise<string | null> {
    if (!this.#webhooks.ids.includes(id)) return null;
    const sent = messageId();
    const body = JSON.stringify({ type: "webhook.test", timestamp: new Date().toISOString(), data: {} });
    this.#webhooks.send(id, { type: "webhook.test", body, break: null }, sent, Date.now());
    await this.#arm();
    return sent;
  }

  async deliveries(id: string) {
    const webhook = this.#webhooks.list().find((one) => one.id === id);
    return webhook ? { webhook, deliveries: this.#webhooks.deliveries(id) } : null;
  }

  /** Sets itself again before anything is sent, and never throws: an alarm that throws six times is given up. */
  override async alarm(): Promise<void> {
    try {
      await this.ctx.storage.setAlarm(Date.now() + HEALTH.settleMs);
      await deliverDue(this.#webhooks, (url, init) => fetch(url, init));
      await this.ctx.storage.deleteAlarm();
      await this.#arm();
    } catch (error) {
      console.error(JSON.stringify({ at: "contract-health alarm", error: String(error) }));
    }
  }

  async #arm(): Promise<void> {
    const { nextAt } = this.#webhooks;
    if (nextAt === null) return;
    const at = await this.ctx.storage.getAlarm();
    if (at === null || at > nextAt) await this.ctx.storage.setAlarm(nextAt);
  }

  #send(message: Message): void {
    const [id, now] = [messageId(), Date.now()];
    for (const webhook of this.#webhooks.ids) this.#webhooks.send(webhook, message, id, now);
  }

  #transaction<T>(work: () => T): T {
    return this.ctx.storage.transactionSync(work);
  }
}

const messageId = (): string => `msg_${crypto.randomUUID()}`;

/** Names and numbers: nothing that an event holds. */
function messageOf({ id, eventName, since, last, ended, ...rest }: Break): Message {
  const data = {
    break: id,
    event: eventName,
    ...rest,
    since: new Date(since).toISOString(),
    hour: new Date(ended?.hour ?? last).toISOString(),
    ...(ended && { because: ended.because }),
  };
  const type = ended ? "contract.recovered" : "contract.broken";
  return { type, body: JSON.stringify({ type, timestamp: new Date().toISOString(), data }), break: id };
}
