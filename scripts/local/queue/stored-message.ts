/** A message on its way into a local queue: checked against the platform's limits, in the form that SQLite keeps. */
import { PLATFORM } from "../../../r2-layout/limits.ts";
import { structuredBytes } from "./structured-bytes.ts";

export type ContentType = "text" | "json" | "bytes" | "v8";

/** `body` is text for text and json, bytes for bytes; for v8 any value that can be cloned. */
export interface StoredMessage {
  readonly contentType: ContentType;
  readonly body: unknown;
  readonly bytes: number;
  readonly delayMs: number;
}

export interface SendOptions {
  readonly contentType?: ContentType;
  readonly delaySeconds?: number;
}

const MAX_DELAY_SECONDS = 86_400;

/** @throws TypeError or RangeError, as `Queue.send` rejects what it cannot take. */
export function storedMessage(body: unknown, options: SendOptions = {}): StoredMessage {
  const contentType = options.contentType ?? "json";
  const delaySeconds = options.delaySeconds ?? 0;
  if (!(delaySeconds >= 0 && delaySeconds <= MAX_DELAY_SECONDS)) {
    throw new RangeError(`delaySeconds must be 0 to ${MAX_DELAY_SECONDS}, not ${delaySeconds}`);
  }
  const encoded = encode(body, contentType);
  if (encoded.bytes > PLATFORM.queueMessageBytes) {
    throw new RangeError(`message of ${encoded.bytes} bytes exceeds the limit of ${PLATFORM.queueMessageBytes}`);
  }
  return { contentType, ...encoded, delayMs: delaySeconds * 1_000 };
}

/** @throws RangeError where a batch is larger than `Queue.sendBatch` takes. */
export function checkSendBatch(messages: readonly StoredMessage[]): void {
  if (messages.length === 0) throw new RangeError("a batch needs at least one message");
  if (messages.length > PLATFORM.queueSendBatchMessages) {
    throw new RangeError(
      `batch of ${messages.length} messages exceeds the limit of ${PLATFORM.queueSendBatchMessages}`,
    );
  }
  const bytes = messages.reduce((sum, message) => sum + message.bytes, 0);
  if (bytes > PLATFORM.queueSendBatchBytes) {
    throw new RangeError(`batch of ${bytes} bytes exceeds the limit of ${PLATFORM.queueSendBatchBytes}`);
  }
}

function encode(body: unknown, contentType: ContentType): { body: unknown; bytes: number } {
  switch (contentType) {
    case "text": {
      if (typeof body !== "string") throw new TypeError("contentType text needs a string");
      return { body, bytes: Buffer.byteLength(body) };
    }
    case "json": {
      const text = JSON.stringify(body);
      if (text === undefined) throw new TypeError("contentType json needs a value that JSON can say");
      return { body: text, bytes: Buffer.byteLength(text) };
    }
    case "bytes": {
      if (!(body instanceof ArrayBuffer || ArrayBuffer.isView(body))) {
        throw new TypeError("contentType bytes needs an ArrayBuffer or a view of one");
      }
      const view =
        body instanceof ArrayBuffer
          ? new Uint8Array(body)
          : new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
      return { body: view.slice().buffer, bytes: view.byteLength };
    }
    case "v8":
      return { body, bytes: structuredBytes(body) };
    default:
      throw new TypeError(`unknown contentType ${String(contentType satisfies never)}`);
  }
}
