/**
 * What an object keeps: SQLite, and one alarm. Writes are one open transaction until the disk has them (an event of its
 * own, a moment later); an object that dies before loses them, all that came since the last flush. So nothing may
 * leave the object before: `whenDurable` is the platform's output gate.
 */
import type { Scheduler } from "./scheduler.ts";
import { type Database, SimulatedSql } from "./sql-storage.ts";
import type { Weather } from "./weather.ts";

export class ObjectStorage {
  readonly name: string;
  readonly sql: SimulatedSql;
  /** As the object sees it; a change is durable with the next flush. */
  alarm: number | null = null;
  /** Milliseconds of the alarm that survives; one that is running stands here until it has ended. */
  durableAlarm: number | null = null;
  /** Told when an alarm is durable, or anew. */
  onAlarm: (() => void) | null = null;
  readonly #database: Database;
  readonly #scheduler: Scheduler;
  readonly #weather: Weather;
  #open = false;
  /** Transactions that are under way, one within the other, and how many of them have written. */
  #savepoints = 0;
  #begun = 0;
  #alarmChanged = false;
  #flushing = false;
  /** Flushes under way belong to an epoch: a crash begins a new one. */
  #epoch = 0;
  #whenDurable: (() => void)[] = [];

  constructor(name: string, database: Database, scheduler: Scheduler, weather: Weather) {
    this.#database = database;
    this.name = name;
    this.#scheduler = scheduler;
    this.#weather = weather;
    const className = name.slice(0, name.indexOf("/"));
    this.sql = new SimulatedSql(this.#database, () => {
      if (this.#savepoints > 0 && weather.strikes("sql_error", className))
        throw new Error("disk I/O error: SQLITE_IOERR");
      this.#wrote(true);
    });
  }

  get isDirty(): boolean {
    return this.#flushing;
  }

  /** Calls back at once, or when all that was written until now is durable; never if it is lost. */
  whenDurable(then: () => void): void {
    if (this.#flushing) this.#whenDurable.push(then);
    else then();
  }

  /** One that writes nothing costs nothing, and nobody waits for the disk because of it. */
  transactionSync<T>(work: () => T): T {
    const depth = this.#savepoints++;
    try {
      const result = work();
      if (this.#begun > depth) this.#database.run(`RELEASE s${depth}`);
      return result;
    } catch (error) {
      if (this.#begun > depth) {
        this.#database.run(`ROLLBACK TO s${depth}`);
        this.#database.run(`RELEASE s${depth}`);
      }
      throw error;
    } finally {
      this.#savepoints--;
      this.#begun = Math.min(this.#begun, depth);
    }
  }

  setAlarm(at: number | null): void {
    this.alarm = at;
    this.#alarmChanged = true;
    this.#wrote(false);
  }

  /** An alarm begins to run: the object sees none, but it comes again unless it ends well. */
  beginAlarm(): void {
    this.alarm = null;
    this.#alarmChanged = false;
  }

  /** The alarm of this time has ended well, or has been given up. */
  endAlarm(at: number): void {
    if (this.durableAlarm === at && !this.#alarmChanged && this.alarm === null) this.durableAlarm = null;
  }

  /** Everything goes, the alarm too. */
  deleteAll(): void {
    this.#wrote(true);
    const tables = this.#database.raw
      .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
      .all();
    for (const { name } of tables) this.#database.raw.exec(`DROP TABLE "${String(name)}"`);
    this.setAlarm(null);
  }

  /** What is not durable is lost, and whoever waited for it waits for ever. */
  crash(): void {
    this.#epoch++;
    this.#flushing = false;
    this.#whenDurable = [];
    if (this.#open) this.#database.run("ROLLBACK");
    this.#open = false;
    this.#savepoints = 0;
    this.#begun = 0;
    this.alarm = this.durableAlarm;
    this.#alarmChanged = false;
  }

  /** @returns the database, in no transaction. */
  close(): Database {
    this.crash();
    return this.#database;
  }

  #wrote(sql: boolean): void {
    if (sql && !this.#open) {
      this.#database.run("BEGIN");
      this.#open = true;
    }
    if (sql) while (this.#begun < this.#savepoints) this.#database.run(`SAVEPOINT s${this.#begun++}`);
    if (this.#flushing) return;
    this.#flushing = true;
    const epoch = this.#epoch;
    const { random } = this.#weather;
    const slow = this.#weather.strikes("slow_disk", this.name.split("/")[0]!);
    this.#scheduler.after(slow ? random.int(50, 5_000) : 1, null, `flush ${this.name}`, () => {
      if (epoch === this.#epoch) this.#flush();
    });
  }

  #flush(): void {
    if (this.#open) this.#database.run("COMMIT");
    this.#open = false;
    this.#flushing = false;
    const alarmChanged = this.#alarmChanged;
    if (alarmChanged) this.durableAlarm = this.alarm;
    this.#alarmChanged = false;
    const waiting = this.#whenDurable;
    this.#whenDurable = [];
    for (const then of waiting) then();
    if (alarmChanged) this.onAlarm?.();
  }
}
