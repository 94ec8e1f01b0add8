/** A folder of contracts: JSON documents, one for each version of an event, in whatever folders and under whatever names. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type CompatibilityRules, compatibilityBreaks } from "../../r2-layout/contracts/compatibility.ts";
import { type Contract, parseContract } from "../../r2-layout/contracts/contract.ts";
import { newContractFault } from "../../r2-layout/contracts/new-contract.ts";

export interface ContractFile {
  readonly path: string;
  /** As it stands in the file. */
  readonly text: string;
  readonly contract: Contract;
}

/** What is wrong with a file, in a sentence or several. */
export interface FileFault {
  readonly path: string;
  readonly detail: string;
}

export interface ContractFolder {
  /** By event name and version. */
  readonly files: readonly ContractFile[];
  readonly faults: readonly FileFault[];
}

/** @throws Error where the folder cannot be read, or holds no JSON. */
export async function readContracts(folder: string): Promise<ContractFolder> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile() && entry.name.endsWith(".json"))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  if (paths.length === 0)
    throw new Error(`${folder} has no contracts: JSON documents, one for each version of an event`);
  const files: ContractFile[] = [];
  const faults: FileFault[] = [];
  for (const path of paths) {
    const text = await readFile(path, "utf8");
    const parsed = parsedContract(text);
    if (typeof parsed === "string") faults.push({ path, detail: parsed });
    else files.push({ path, text, contract: parsed });
  }
  files.sort((one, other) => compare(one.contract, other.contract));
  return { files, faults };
}

function parsedContract(text: string): Contract | string {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    return `no JSON: ${error instanceof Error ? error.message : error}`;
  }
  const parsed = parseContract(document);
  const fault = parsed.ok ? newContractFault(document, parsed.value) : parsed.error;
  return fault || !parsed.ok ? `${fault!.path} ${fault!.detail}` : parsed.value;
}

const compare = (one: Contract, other: Contract): number =>
  one.eventName === other.eventName ? one.version - other.version : one.eventName < other.eventName ? -1 : 1;

/** What the registry would refuse of these files, were they pushed in their order to an empty one. */
export function faultsAmong(files: readonly ContractFile[], rules: CompatibilityRules): FileFault[] {
  return files.flatMap(({ path, contract }, i): FileFault[] => {
    const before = files.slice(0, i).filter((file) => file.contract.eventName === contract.eventName);
    const expected = (before.at(-1)?.contract.version ?? 0) + 1;
    if (contract.version === expected - 1)
      return [{ path, detail: `is version ${contract.version} as ${before.at(-1)!.path} is` }];
    if (contract.version !== expected)
      return [{ path, detail: `is version ${contract.version} where ${expected} comes next` }];
    const versions = before.map((file) => ({ version: file.contract.version, schema: file.contract.schema }));
    return compatibilityBreaks(versions, contract.schema, rules).map((found) => ({ path, detail: breakText(found) }));
  });
}

/** A break in a line, as check and push print it. */
export const breakText = (found: {
  readonly against: number;
  readonly path: string;
  readonly type: string;
  readonly why: string;
  readonly passes: string;
}): string =>
  `${found.path} breaks version ${found.against}: ${found.why} (${found.type}). It would pass to ${found.passes}`;

/** The newest version of each event. */
export const newestOf = (files: readonly ContractFile[]): ContractFile[] =>
  files.filter(({ contract }, i) => files[i + 1]?.contract.eventName !== contract.eventName);
