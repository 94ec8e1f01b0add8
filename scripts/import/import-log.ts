/** One access log into the system, line by line. */
import type { BatchSender } from "./batch-sender.ts";
import { parseLogLine } from "./combined-log.ts";
import { LineIds } from "./line-ids.ts";
import { logEvent } from "./log-event.ts";
import type { Progress } from "./progress.ts";
import { readLines } from "./read-lines.ts";

export interface Unreadable {
  count: number;
  readonly examples: { readonly file: string; readonly number: number; readonly text: string }[];
}

const EXAMPLES = 5;
const decoder = new TextDecoder();

/** Blank lines are no lines. @returns how many there were. @throws where the file or the system fails for good. */
export async function importLog(
  file: string,
  sender: Pick<BatchSender, "add">,
  progress: Pick<Progress, "read" | "line" | "sent">,
  unreadable: Unreadable,
): Promise<number> {
  const ids = new LineIds();
  let lines = 0;
  for await (const { number, bytes, cut } of readLines(file, (count) => progress.read(count))) {
    if (bytes.length === 0 && !cut) continue;
    lines++;
    progress.line();
    const text = cut ? "(longer than any log line)" : decoder.decode(bytes);
    const request = cut ? null : parseLogLine(text);
    if (request === null) {
      unreadable.count++;
      if (unreadable.examples.length < EXAMPLES) unreadable.examples.push({ file, number, text });
      progress.sent(1); // Done with, as far as the bar is concerned.
      continue;
    }
    await sender.add(logEvent(request, ids.next(bytes)));
  }
  return lines;
}
