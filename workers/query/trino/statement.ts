/** From what a client sent to what the pipeline is asked. */
import type { LakeSchema } from "../../../r2-layout/promoted-columns.ts";
import type { ParseSql } from "../plan/plan-statement.ts";
import { Refused } from "../plan/refusal.ts";
import { parseSqlRequest, type SqlRequest } from "../sql-request.ts";
import { type Command, readCommand } from "./commands.ts";
import { errorOfProblem, TrinoFailed } from "./errors.ts";
import { questionOptions, type TrinoSession } from "./session.ts";
import { tableResolver } from "./table-names.ts";
import { fromTrino, parameterNodes, parsedTrino, placeholders } from "./trino-dialect.ts";

export type Asked =
  /** To be answered by its rows; or by what its columns are. */
  | { readonly kind: "question"; readonly question: SqlRequest; readonly describe: boolean }
  | Extract<Command, { kind: "done" }>;

export interface StatementParts {
  readonly parse: ParseSql;
  /** The lake's columns now. */
  readonly lake: () => Promise<LakeSchema>;
}

/** @throws TrinoFailed with what the client is told. */
export async function readStatement(parts: StatementParts, sql: string, session: TrinoSession): Promise<Asked> {
  try {
    let command = await readCommand(sql, session, parts.lake);
    if (command.kind === "query" && command.parameters === "") {
      // What EXECUTE names may be a SHOW: once more, and no deeper.
      const inner = await readCommand(command.sql, session, parts.lake);
      if (inner.kind === "query") command = inner;
      else return await asked(parts, inner, session);
    }
    return await asked(parts, command, session);
  } catch (error) {
    if (error instanceof Refused) throw problemFailed(error.refusal);
    throw error;
  }
}

async function asked({ parse, lake }: StatementParts, command: Command, session: TrinoSession): Promise<Asked> {
  if (command.kind === "done") return command;
  if (command.kind === "describe" && command.what === "input") {
    const count = placeholders(parsedTrino(parse, command.sql));
    const rows = Array.from({ length: count }, (_, at) => `(${at}, 'unknown')`).join(", ");
    const columns = count === 0 ? "(VALUES (0, '')) AS t (p, y) WHERE FALSE" : `(VALUES ${rows}) AS t (p, y)`;
    return question(`SELECT CAST(p AS BIGINT) AS "Position", y AS "Type" FROM ${columns}`, session, false);
  }
  const describe = command.kind === "describe";
  const parameters =
    command.kind === "query"
      ? parameterNodes(parse, command.parameters)
      : // Nobody has given any yet: of what type they are does not change the columns.
        parameterNodes(
          parse,
          Array(placeholders(parsedTrino(parse, command.sql)))
            .fill("NULL")
            .join(", "),
        );
  const table = tableResolver(await lake(), session);
  const text = fromTrino(parse, command.sql, { table, parameters });
  return question(describe ? `SELECT * FROM (${text}) AS _described LIMIT 0` : text, session, describe);
}

function question(sql: string, { properties }: TrinoSession, describe: boolean): Asked {
  const request = parseSqlRequest({ sql, format: "arrow", ...questionOptions(properties) });
  if (!request.ok) throw problemFailed(request.error as { reason: string; detail?: string });
  return { kind: "question", question: request.value, describe };
}

const problemFailed = (problem: { reason: string; detail?: string }): TrinoFailed => {
  const { errorName, message } = errorOfProblem(problem);
  return new TrinoFailed(errorName, message);
};
