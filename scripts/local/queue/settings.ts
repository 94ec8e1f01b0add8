/** What a local queue is told: how its consumer wants batches, and, for chaos tests, how it may misbehave. */
import { PLATFORM } from "../../../r2-layout/limits.ts";
import type { QueueConsumer } from "../wrangler-config.ts";

export interface ConsumerSettings {
  /** The service binding of the consuming Worker. */
  readonly binding: string;
  readonly batchSize: number;
  readonly waitMs: number;
  readonly maxRetries: number;
  readonly retryDelayMs: number;
  /** Batches under way at once. */
  readonly concurrency: number;
  readonly deadLetterQueue: string | null;
}

/**
 * Cloudflare's defaults, except the concurrency: production scales it by itself, four is enough to lose any order.
 * @throws RangeError for a batch that the platform would not deliver.
 */
export function consumerSettings(consumer: QueueConsumer, binding: string): ConsumerSettings {
  const most = PLATFORM.queueConsumerBatchMessages;
  if ((consumer.max_batch_size ?? 0) > most)
    throw new RangeError(`max_batch_size of ${consumer.queue} is above ${most}`);
  return {
    binding,
    batchSize: consumer.max_batch_size ?? 10,
    waitMs: (consumer.max_batch_timeout ?? 5) * 1_000,
    maxRetries: consumer.max_retries ?? 3,
    retryDelayMs: (consumer.retry_delay ?? 0) * 1_000,
    concurrency: consumer.max_concurrency ?? 4,
    deadLetterQueue: consumer.dead_letter_queue ?? null,
  };
}

/** Everything that "at least once, in no order" allows, switched on. Off by default. */
export interface Chaos {
  /** Share of batches (0 to 1) that are handed to two invocations of the consumer at once. */
  readonly twice?: number;
  /** Share of batches whose outcome is forgotten: they come again although they were acked. */
  readonly dropAcks?: number;
  /** A message waits up to this long, at random, beyond its own delay. */
  readonly lateMs?: number;
  /** Batches are drawn from all that waits, not from its oldest part. */
  readonly shuffle?: boolean;
  /** Nothing is delivered until it is switched off. */
  readonly hold?: boolean;
  /** Seed of the dice. */
  readonly seed?: number;
}

export interface QueueStatus {
  readonly queue: string;
  /** Visible and not under way; not yet visible; under way. */
  readonly ready: number;
  readonly delayed: number;
  readonly underWay: number;
  /** Since this process started. */
  readonly sent: number;
  readonly delivered: number;
  readonly retried: number;
  readonly dead: number;
  readonly chaos: Chaos;
  /** How often each kind of chaos fired, since this process started. */
  readonly fired: Readonly<Record<"twice" | "dropAcks" | "lateMs" | "shuffle" | "hold", number>>;
}
