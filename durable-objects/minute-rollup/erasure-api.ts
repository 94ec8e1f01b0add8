/** What an erasure asks of rollups, once its rule job has built the hours anew in which an erased event counted. */

export interface RollupTraces {
  /** Records of what the job has changed. */
  readonly records: number;
  /** Builds of the job that keep rows of before. */
  readonly builds: number;
  /** A rule of this version or an older one has not come to its end here. */
  readonly isOwed: boolean;
}

export interface RollupErasureApi {
  /**
   * Forgets what an erasure's job has changed, and by how much: that would tell when a person was active, and for how much they
   * bought. The changed minutes keep their versions. Safe to repeat. @returns how many records there were
   */
  forgetJob(job: string): Promise<{ readonly records: number }>;
  tracesOf(job: string, version: number): Promise<RollupTraces>;
}
