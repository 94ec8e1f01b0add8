/** The guide's own snippets: what people are told to type is what the check runs. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../scripts/local/wrangler-config.ts";

const GUIDE = join(ROOT, "docs", "engines.md");

/** Where the guide's local run is. */
const GUIDE_ORIGIN = "http://localhost:8787";

/** The blocks for an engine, one after the other, for a system at another address. @throws Error where there are none. */
export function guideSnippet(engine: string, origin: string): string {
  const blocks = readFileSync(GUIDE, "utf8").matchAll(/^```python run=(\w+)\n([\s\S]*?)^```$/gm);
  const own = Array.from(blocks).flatMap(([, name, code]) => (name === engine ? [code!] : []));
  if (own.length === 0) throw new Error(`docs/engines.md has no snippet for ${engine}`);
  return own.join("\n").replaceAll(GUIDE_ORIGIN, origin);
}
