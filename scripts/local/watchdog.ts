/**
 * Ends a runtime that answers nobody, so that another takes its place: nothing that was acknowledged is lost by that, as
 * after any kill. Whatever made it spin or stand still is lost with it, so it is told to print its stack first (workerd
 * does on SIGABRT; `addr2line -e workerd` reads it).
 */

/** Well beyond the longest answer of a runtime that is only busy, and below what senders wait. */
export const SILENT_MS = 45_000;
const LOOKS = 3;
/** What is stopped, or deaf, does not even abort. */
const ABORT_WAIT_MS = 3_000;

export interface Watched {
  readonly url: string;
  /** For how long nobody may be answered, milliseconds. */
  readonly silentMs: number;
  /** The runtime that runs now; null where there is none. */
  readonly pid: () => number | null;
}

/** Looks for as long as this process lives. Its own standstill counts for nothing: it is looks in a row that go unanswered. */
export async function watchRuntime({ url, silentMs, pid }: Watched): Promise<never> {
  let unanswered = 0;
  let watched = pid();
  for (;;) {
    const answered = await answers(url, silentMs / LOOKS);
    const now = pid();
    unanswered = answered || now !== watched ? 0 : unanswered + 1;
    watched = now;
    if (unanswered < LOOKS || now === null) continue;
    console.error(
      `eventpile: the runtime has answered nobody for ${silentMs / 1_000} s; its stack follows, and another is started`,
    );
    await end(now);
    unanswered = 0;
  }
}

/** Whatever the answer is, it is one. Comes back after `waitMs` in any case, not sooner. */
async function answers(url: string, waitMs: number): Promise<boolean> {
  const rest = new Promise((done) => setTimeout(done, waitMs).unref());
  let answered = false;
  try {
    const response = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(waitMs) });
    await response.body?.cancel();
    answered = true;
  } catch {
    // Refused, cut off or not in time.
  }
  await rest;
  return answered;
}

async function end(pid: number): Promise<void> {
  signal(pid, "SIGABRT");
  await new Promise((done) => setTimeout(done, ABORT_WAIT_MS));
  signal(pid, "SIGKILL");
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone.
  }
}
