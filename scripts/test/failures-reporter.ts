/**
 * A reporter of vitest that keeps what failed: each failed test or file by name, with the first lines of its errors, and
 * errors that belong to none. `run.ts` prints them again after everything else, where a log that is cut still has them.
 */
import { appendFileSync } from "node:fs";
import type { Reporter, TestModule } from "vitest/node";

const LINES_MAX = 12;

/** The file that failures are appended to. */
export const FAILURES_VARIABLE = "TEST_FAILURES";

type Failure = Parameters<NonNullable<Reporter["onTestRunEnd"]>>[1][number];

export default class FailuresReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly Failure[]): void {
    const failures = [
      ...modules.flatMap((module) => [
        ...told(module.moduleId, module.errors()),
        ...[...module.children.allSuites()].flatMap((suite) =>
          told(`${module.moduleId} > ${suite.fullName}`, suite.errors()),
        ),
        ...[...module.children.allTests("failed")].flatMap((test) =>
          told(`${module.moduleId} > ${test.fullName}`, test.result().errors ?? []),
        ),
      ]),
      ...told("an error outside every test", unhandled),
    ];
    const path = process.env[FAILURES_VARIABLE];
    if (path !== undefined && failures.length > 0) appendFileSync(path, failures.join(""));
  }
}

function told(name: string, errors: readonly Failure[]): string[] {
  return errors.map((error) => {
    const lines = (error.stack ?? error.message ?? String(error)).split("\n");
    return `${name}\n${[
      error.message,
      ...lines.filter((line) => /^\s+at /.test(line) && !line.includes("node_modules")),
    ]
      .join("\n")
      .split("\n")
      .slice(0, LINES_MAX)
      .map((line) => `    ${line}\n`)
      .join("")}`;
  });
}
