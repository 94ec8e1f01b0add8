/**
 * One sink's cursor in one shard of the log. Named `<sink>:<shard>`, so its table has one row. The one that is named by its
 * sink alone keeps the builds of the sink's store.
 */
import { DurableObject } from "cloudflare:workers";
import type {
  AppliedCounts,
  Build,
  BuildState,
  BuildsApi,
  CursorStatus,
  Failures,
  FedBuild,
  GenerationPlace,
  GenerationsApi,
  Hole,
  HolesRequest,
  Lease,
  Moved,
  RecordedHole,
  SinkCursorApi,
} from "./api.ts";
import { BuildTable } from "./build-table.ts";
import { CursorTable } from "./cursor-table.ts";

const ROW = 0;

export class SinkCursor extends DurableObject implements SinkCursorApi, GenerationsApi, BuildsApi {
  readonly #cursors: CursorTable;
  #buildTable: BuildTable | null = null;

  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    super(ctx, env);
    this.#cursors = new CursorTable(ctx.storage.sql);
  }

  async lease(owner: string, ttlMs: number): Promise<Lease | null> {
    return this.#cursors.lease(ROW, owner, ttlMs, Date.now());
  }

  async advance(token: number, from: number, to: number, applied: AppliedCounts): Promise<Moved> {
    return this.#cursors.advance(ROW, token, from, to, applied, Date.now());
  }

  async release(token: number): Promise<void> {
    this.#cursors.release(ROW, token);
  }

  async status(): Promise<CursorStatus> {
    return this.#cursors.status(ROW);
  }

  async failed(_shard: number, token: number, seq: number, cause: string): Promise<Failures> {
    return this.#cursors.failed(ROW, token, seq, cause, Date.now());
  }

  async decide(_shard: number, token: number, from: number, hole: Hole): Promise<boolean> {
    return this.#cursors.decide(ROW, token, from, hole, Date.now());
  }

  async holes(shard: number, request?: HolesRequest): Promise<RecordedHole[]> {
    return this.#cursors.holes(ROW, request).map((hole) => ({ ...hole, shard }));
  }

  async close(_shard: number, hole: number, seq: number): Promise<void> {
    this.#cursors.close(ROW, hole, seq);
  }

  async switchTo(generation: number, cursor: number, met?: AppliedCounts, move?: number): Promise<GenerationPlace> {
    const to = { generation, cursor, met, move };
    return this.ctx.storage.transactionSync(() => this.#cursors.switchTo(ROW, to, Date.now()));
  }

  async liveGeneration(): Promise<number> {
    return this.#builds.live();
  }

  async fedGeneration(shard?: number): Promise<number> {
    return (await this.fed(shard)).generation;
  }

  async fed(shard?: number): Promise<FedBuild> {
    // Made before: were its making rolled back with the rest, the tables would be gone and the field would stay.
    const builds = this.#builds;
    return this.ctx.storage.transactionSync(() => builds.fed(shard));
  }

  async newestGeneration(): Promise<number> {
    return this.#builds.newest();
  }

  async shardsFed(): Promise<number> {
    return this.#builds.shardsFed();
  }

  async build(job: string): Promise<Build | null> {
    return this.#builds.build(job);
  }

  async beginBuild(job: string, note: string, inPlace = false): Promise<Build> {
    return this.#builds.begin(job, note, inPlace, Date.now());
  }

  async moveBuild(job: string, state: BuildState): Promise<Build> {
    return this.#builds.move(job, state, Date.now());
  }

  /** Made when it is asked for: one object of a sink needs it. */
  get #builds(): BuildTable {
    this.#buildTable ??= new BuildTable(this.ctx.storage.sql);
    return this.#buildTable;
  }
}
