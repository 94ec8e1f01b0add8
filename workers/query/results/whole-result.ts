/** A result that was whole before anything of it was sent, so that it can be sent more than once. */
import type { StatementStats } from "../engine/statement.ts";
import { brokenEnd, CONTENT_TYPES, closing, type ResultFormat } from "./encode.ts";
import type { AnswerBody, Outbox } from "./outbox.ts";

export interface WholeResult {
  readonly format: ResultFormat;
  /** The answer without its end, which has the figures of the statement it answers. */
  readonly pieces: readonly Uint8Array<ArrayBuffer>[];
  readonly bytes: number;
  readonly stats: StatementStats;
}

export function sendWhole(
  outbox: Outbox,
  { format, pieces }: WholeResult,
  stats: StatementStats,
): { response: Response; body: AnswerBody } {
  const body = outbox.open((reason) => brokenEnd(format, reason));
  for (const piece of pieces) body.add(piece);
  body.add(closing(format, stats));
  body.end();
  return { response: answerOf(format, body.stream(), stats), body };
}

export function answerOf(format: ResultFormat, body: BodyInit, stats: StatementStats): Response {
  return new Response(body, {
    headers: {
      "content-type": CONTENT_TYPES[format],
      "cache-control": "no-store",
      "x-eventpile-stats": JSON.stringify(stats),
    },
  });
}
