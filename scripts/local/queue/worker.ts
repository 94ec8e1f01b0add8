/**
 * The Worker behind a local run's queues: `Queue` stands behind each producer binding (the queue's name is its
 * `props.queue`), LocalQueue keeps and delivers, and the default handler is the local control of the run.
 */
import { WorkerEntrypoint } from "cloudflare:workers";
import { type ControlEnv, control } from "./control.ts";
import { LocalQueue } from "./local-queue.ts";
import { checkSendBatch, type SendOptions, type StoredMessage, storedMessage } from "./stored-message.ts";

export { LocalQueue };

interface Sent {
  readonly metadata: { readonly metrics: { readonly backlogCount: number; readonly backlogBytes: number } };
}

export class Queue extends WorkerEntrypoint<ControlEnv, { queue: string }> {
  async send(body: unknown, options?: SendOptions): Promise<Sent> {
    return this.#put([storedMessage(body, options)]);
  }

  async sendBatch(
    messages: readonly ({ body: unknown } & SendOptions)[],
    options?: { delaySeconds?: number },
  ): Promise<Sent> {
    const stored = messages.map(({ body, ...own }) => storedMessage(body, { ...options, ...own }));
    checkSendBatch(stored);
    return this.#put(stored);
  }

  async metrics(): Promise<QueueMetrics> {
    return this.env.LOCAL_QUEUES.getByName(this.ctx.props.queue).metrics();
  }

  async #put(messages: StoredMessage[]): Promise<Sent> {
    await this.env.LOCAL_QUEUES.getByName(this.ctx.props.queue).put(messages);
    return { metadata: { metrics: { backlogCount: 0, backlogBytes: 0 } } };
  }
}

export default { fetch: control } satisfies ExportedHandler<ControlEnv>;
