/** The guide's blocks for tools, as the check runs them: at another address. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../../scripts/local/wrangler-config.ts";

export const TOOLS = ["dbapi", "sqlalchemy", "trino-client", "jdbc"] as const;

/** @throws Error where the guide has no block for the tool. */
export function toolSnippet(tool: string, url: string): string {
  const guide = readFileSync(join(ROOT, "docs", "trino.md"), "utf8");
  const [, code] = new RegExp(`^\`\`\`\\w+ run=${tool}\\n([\\s\\S]*?)^\`\`\`$`, "m").exec(guide) ?? [];
  if (code === undefined) throw new Error(`docs/trino.md has no block for ${tool}`);
  const { hostname, port } = new URL(url);
  return code
    .replaceAll("port=8787", `port=${port}`)
    .replaceAll('host="localhost"', `host="${hostname}"`)
    .replaceAll("localhost:8787", `${hostname}:${port}`);
}
