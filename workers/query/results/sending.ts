/**
 * One answer while it is made: kept until it is whole, or until it outgrows what is kept in a format that can be sent in
 * part. From then on its reader takes part.
 */
import { SQL } from "../../../r2-layout/limits.ts";
import type { EngineStatement, StatementStats } from "../engine/statement.ts";
import { StatementFailed } from "../problem.ts";
import { brokenEnd, closing, isStreamed, ResultEncoder } from "./encode.ts";
import type { AnswerBody, Outbox } from "./outbox.ts";
import { answerOf, sendWhole, type WholeResult } from "./whole-result.ts";

export interface Answer {
  readonly response: Response;
  /** Set where the result was whole before anything was sent. */
  readonly whole: WholeResult | null;
}

export class Sending {
  readonly encoder: ResultEncoder;
  readonly #outbox: Outbox;
  readonly #format: EngineStatement["format"];
  readonly #begin: (answer: Answer) => void;
  #kept: Uint8Array<ArrayBuffer>[] = [];
  #body: AnswerBody | null = null;

  /** @param begin gets the answer, once. */
  constructor(
    outbox: Outbox,
    { format, limit }: Pick<EngineStatement, "format" | "limit">,
    begin: (answer: Answer) => void,
  ) {
    this.#outbox = outbox;
    this.#format = format;
    this.#begin = begin;
    this.encoder = new ResultEncoder(
      format,
      (piece) => {
        if (this.#body) this.#body.add(piece);
        else this.#kept.push(piece);
      },
      limit,
    );
  }

  /** Bytes of which nothing is sent yet. */
  get keptBytes(): number {
    return this.#body ? 0 : this.encoder.bytes;
  }

  get isOutgrown(): boolean {
    return this.#body === null && isStreamed(this.#format) && this.encoder.bytes > SQL.wholeBytes;
  }

  /** What its reader takes, once it has begun. */
  get body(): AnswerBody | null {
    return this.#body;
  }

  /** Begins to send what is not whole. */
  begin(stats: StatementStats): void {
    this.#body = this.#outbox.open((reason) => brokenEnd(this.#format, reason));
    for (const piece of this.#kept) this.#body.add(piece);
    this.#kept = [];
    this.#begin({ response: answerOf(this.#format, this.#body.stream(), stats), whole: null });
  }

  /** There are no more rows. */
  end(stats: StatementStats): AnswerBody {
    if (this.#body) {
      this.#body.add(closing(this.#format, stats));
      this.#body.end();
      return this.#body;
    }
    const whole: WholeResult = { format: this.#format, pieces: this.#kept, bytes: this.encoder.bytes, stats };
    const { response, body } = sendWhole(this.#outbox, whole, stats);
    this.#kept = [];
    this.#body = body;
    this.#begin({ response, whole });
    return body;
  }

  /** Ends the answer in the middle, where it has begun: its reader sees it break off. */
  fail(error: unknown): void {
    this.#kept = [];
    this.#body?.fail(reasonOf(error));
  }
}

export const reasonOf = (error: unknown): string =>
  error instanceof StatementFailed ? error.problem.reason : "internal";

/** Thrown to end a statement that has given as many rows as were wanted. */
export class EnoughRows extends Error {}
