/** Stands in for r2-layout/parquet-writer.ts in simulated runs: see codec.ts. */
import type { Columns, TableName } from "../../../r2-layout/event-columns.ts";
import type { ParquetFile, RowGroup } from "../../../r2-layout/parquet-writer.ts";
import { codec, encodePlain } from "./codec.ts";

export type { ParquetFile, RowGroup };

type Real = typeof import("../../../r2-layout/parquet-writer.ts");
let real: Real | null = null;

/** To be awaited before a run with the real encoder. */
export async function loadRealWriter(): Promise<void> {
  real ??= await import("../../../r2-layout/parquet-writer.ts");
}

export class ParquetWriter {
  // biome-ignore lint/complexity/noUselessConstructor: it is made as the real one is.
  constructor(_module: WebAssembly.Module) {}

  get memoryBytes(): number {
    return 0;
  }

  async write(table: TableName, rowGroups: Iterable<RowGroup>, columns?: Columns): Promise<ParquetFile> {
    const { parquet, scheduler } = codec;
    if (codec.real && real && parquet && scheduler) {
      const writer = new real.ParquetWriter(parquet);
      return scheduler.held(() => writer.write(table, rowGroups, columns));
    }
    const { bytes, footer } = encodePlain(
      table,
      Array.from(rowGroups, (group) => group.slice(0, group.length)),
    );
    return { bytes, footer: footer as unknown as ParquetFile["footer"] };
  }
}
