/** How far a replay has come: a line that is drawn over on a terminal, a line now and then elsewhere. */
import type { JobJson } from "../../workers/job-json.ts";

const ELSEWHERE_MS = 5_000;

export class ReplayProgress {
  readonly #out: NodeJS.WriteStream;
  #drawnAt = Number.NEGATIVE_INFINITY;

  constructor(out: NodeJS.WriteStream = process.stderr) {
    this.#out = out;
  }

  show(job: JobJson): void {
    const now = performance.now();
    if (!this.#out.isTTY && now - this.#drawnAt < ELSEWHERE_MS) return;
    this.#drawnAt = now;
    this.#out.write(this.#out.isTTY ? `\r${progressLine(job)}\x1b[K` : `${progressLine(job)}\n`);
  }

  done(): void {
    if (this.#out.isTTY) this.#out.write("\n");
  }
}

export function progressLine({ state, phase, progress, waits_for, error }: JobJson): string {
  const { events, total, events_per_second, eta_seconds } = progress;
  const share = total === null || total === 0 ? null : Math.min(1, events / total);
  const width = 30;
  const bar = `[${"=".repeat(Math.round(width * (share ?? 0))).padEnd(width)}]`;
  const parts = [
    `${bar} ${share === null ? "" : `${Math.floor(share * 100)}%  `}${number(events)} events`,
    `${number(events_per_second)}/s`,
    ...(eta_seconds === null ? [] : [`${eta_seconds} s left`]),
    state === "running" ? phase : state,
    ...(waits_for === null ? [] : [`waits for ${waits_for}`]),
    ...(error === null ? [] : [`failed last: ${error}`]),
  ];
  return parts.join("  ");
}

const number = (value: number): string => Math.round(value).toLocaleString("en-US");
