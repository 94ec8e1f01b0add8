/**
 * What a run is about, drawn from its seed. Most runs mix everything; the others are made so that one kind of race, which
 * a mixture meets once in thousands of runs, comes in every few: a call hangs just where it hurts while the rest goes on.
 * Mutations name the scenario that is to notice them.
 */
import type { SinkName } from "../../r2-layout/sinks.ts";
import { Random } from "../../scripts/demo/random.ts";
import type { Fault, Hang, Loss } from "./platform/weather.ts";

export interface Scenario {
  readonly name: string;
  readonly weight: number;
  /** Chances that the run has segments that go bad, ids in another shape, operators, splits. */
  readonly damage: number;
  readonly oddities: number;
  readonly operations: number;
  readonly splits: number;
  /** Segments that go bad in a stretch, at most. */
  readonly damageMax: number;
  /** Chance that one goes bad when a call hangs: a sink has taken it, and its cursor has not moved. */
  readonly damageTaken: number;
  /** Chance that it is one of the newest, while the live sessions stand still: a build may have read it, they have not. */
  readonly damageUnread: number;
  /** What rebuilds are of; null: drawn. Chance that one that was swapped in is taken back, where it is looked at. */
  readonly sinks: readonly SinkName[] | null;
  readonly reverts: number;
  /** Chance that a job at work is cancelled, where it is looked at. */
  readonly cancels: number;
  /** Requests that come, so many and up to four times as many; how long, one of these, ms. */
  readonly requests: number;
  readonly spansMs: readonly number[];
  /** Who send holes again at one time, at most. */
  readonly redrivers: number;
  /** Corrections change who events belong to, all of them, and nothing else. */
  readonly identities: boolean;
  /** Swaps are asked for. */
  readonly manual: boolean;
  /** Chance that a rebuild or a fill is of a window. */
  readonly windows: number;
  /** Milliseconds from one look of an operator at a job to the next, at most. */
  readonly lookMaxMs: number;
  /** Operations begun, and of which kinds, by weight. */
  readonly operationsMax: number;
  /** Milliseconds from the first request, at most; null: they begin as long as requests come, and a minute longer. */
  readonly beginWithinMs: number | null;
  readonly kinds: {
    readonly correction: number;
    readonly rebuild: number;
    readonly fill: number;
    readonly audit: number;
  };
  /** Users, and devices, from and to: of many no two events are of the same user on the same device. */
  readonly subjects: readonly [number, number];
  /** Chance that an acknowledged request is sent once more, and within what time mostly, ms. */
  readonly repeats: number;
  readonly repeatWithinMs: number;
  /** Milliseconds from one sweep, or one compaction, to the next while requests come; null: as the cron likes. */
  readonly sweepEveryMs: number | null;
  readonly compactEveryMs: number | null;
  /** Milliseconds from one who sends holes again to the next while requests come, beside those that come some time; null: nobody. */
  readonly redriveEveryMs: number | null;
  /** Chance that whoever waits looks again after seconds, as in production, not after many minutes: then nothing stands still for hours. */
  readonly impatient: number;
  /** Limits that are tight for certain; `windows`: those of the dedup windows. */
  readonly tight: Readonly<Record<string, number>>;
  readonly hangs: readonly Hang[];
  readonly losses: readonly Loss[];
  /** Something that is down for some minutes; null: nothing. */
  readonly outages: readonly RegExp[];
  /** Chance that the weather has no faults but those below. */
  readonly calm: number;
  /** Faults that this run's weather has for certain, with their chance at each occasion. */
  readonly faults: Readonly<Partial<Record<Fault, number>>>;
}

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

const MIXED: Scenario = {
  name: "mixed",
  weight: 66,
  damage: 0.15,
  oddities: 0.3,
  operations: 0.35,
  splits: 0.3,
  redrivers: 2,
  damageMax: 2,
  damageTaken: 0,
  damageUnread: 0,
  sinks: null,
  reverts: 0.25,
  cancels: 0.02,
  requests: 4,
  spansMs: [3 * SECOND_MS, 20 * SECOND_MS, 2 * MINUTE_MS, 10 * MINUTE_MS],
  identities: false,
  manual: false,
  windows: 0.4,
  lookMaxMs: 10 * MINUTE_MS,
  operationsMax: 2,
  beginWithinMs: null,
  kinds: { correction: 5, rebuild: 4, fill: 1, audit: 1 },
  subjects: [1, 5],
  repeats: 0.12,
  repeatWithinMs: MINUTE_MS,
  sweepEveryMs: null,
  compactEveryMs: null,
  redriveEveryMs: null,
  impatient: 0.05,
  tight: {},
  hangs: [],
  losses: [],
  outages: [],
  calm: 0,
  faults: {},
};

/** Longer than objects that nobody names are left alone. */
const FROZEN = { fromMs: 28 * HOUR_MS, toMs: 29 * HOUR_MS, withAll: 1 } as const;

const ALONE: readonly Scenario[] = [
  {
    // Old and new edges, pipelines and objects side by side, and the same events by both.
    ...MIXED,
    name: "split",
    weight: 6,
    damage: 0,
    splits: 1,
    operations: 0.1,
    repeats: 0.6,
    repeatWithinMs: 15 * SECOND_MS,
    hangs: [
      { target: /^EventLog\.(commit|filter|partWith)$/, chance: 0.15, fromMs: SECOND_MS, toMs: MINUTE_MS, withAll: 0 },
    ],
  },
  {
    // Objects that are written, and named only when a sweep has come by.
    ...MIXED,
    name: "sweep",
    weight: 5,
    operations: 0.2,
    sweepEveryMs: 8 * SECOND_MS,
    hangs: [
      {
        target: /^(EventLog\.commit|LakeCatalog\.(append|replace|stage))$/,
        chance: 0.3,
        fromMs: SECOND_MS,
        toMs: 40 * SECOND_MS,
        withAll: 0.5,
      },
    ],
  },
  {
    // One call hangs for more than a day, and its consumer's queue with it.
    ...MIXED,
    name: "freeze",
    weight: 5,
    damage: 0,
    operations: 0.3,
    splits: 0.1,
    hangs: [{ target: /^(EventLog\.commit|LakeCatalog\.append)$/, chance: 0.2, times: 1, ...FROZEN }],
  },
  {
    // A store is down for longer than any patience with what cannot be handled.
    ...MIXED,
    name: "outage",
    weight: 3,
    outages: [
      /^UserTimeline\./,
      /^MinuteRollup\./,
      /^LakeCatalog\./,
      /^R2\.put lake/,
      /^R2\.(get|read) log/,
      /^SinkCursor\./,
    ],
  },
  {
    // Transactions are rolled back, and objects die with what was not yet durable.
    ...MIXED,
    name: "disk",
    weight: 4,
    faults: { sql_error: 0.02, slow_disk: 0.2, reset: 0.03, evict: 0.02 },
  },
  {
    ...MIXED,
    name: "compaction",
    weight: 4,
    damage: 0.05,
    compactEveryMs: 4 * SECOND_MS,
    tight: { compactAboveFiles: 2, compactInputs: 3, stepEvents: 3 },
    hangs: [
      { target: /^LakeCatalog\.replace$/, chance: 0.7, fromMs: 5 * SECOND_MS, toMs: 40 * SECOND_MS, withAll: 0.1 },
      { target: /^LakeCatalog\.(append|swap)$/, chance: 0.2, fromMs: SECOND_MS, toMs: 30 * SECOND_MS, withAll: 0.2 },
    ],
  },
  {
    // A sink took a segment, or is about to, and it goes bad; what was left out comes back.
    ...MIXED,
    name: "holes",
    weight: 7,
    damage: 1,
    redrivers: 4,
    operations: 0.25,
    damageTaken: 0.6,
    hangs: [
      {
        // A batch of a drain that was fenced off, right after the fence.
        target: /^MinuteRollup\.apply$/,
        from: /^rollups#/,
        chance: 0.1,
        until: /^MinuteRollup\.fence$/,
        fromMs: 2 * MINUTE_MS,
        toMs: 10 * MINUTE_MS,
        withAll: 0,
      },
      {
        target: /^(SinkCursor\.advance|LakeCatalog\.append|MinuteRollup\.apply|UserTimeline\.append)$/,
        chance: 0.1,
        fromMs: 30 * SECOND_MS,
        toMs: 6 * MINUTE_MS,
        withAll: 0.1,
      },
      { target: /^EventLog\.redrive$/, chance: 0.2, fromMs: SECOND_MS, toMs: MINUTE_MS, withAll: 0 },
    ],
  },
  {
    // A rule is raised between the reading of a step and its effect.
    ...MIXED,
    name: "rules",
    weight: 7,
    damage: 0,
    operations: 1,
    operationsMax: 4,
    kinds: { correction: 8, rebuild: 1, fill: 0, audit: 1 },
    compactEveryMs: 20 * SECOND_MS,
    tight: { compactAboveFiles: 2 },
    impatient: 0.4,
    hangs: [
      {
        // A file that was merged through the rules of before.
        target: /^LakeCatalog\.replace$/,
        chance: 0.7,
        until: /^LakeCatalog\.raise$/,
        fromMs: 2 * MINUTE_MS,
        toMs: 6 * MINUTE_MS,
        withAll: 0,
      },
      {
        target: /^(LakeCatalog\.(append|replace|swap)|MinuteRollup\.apply|UserTimeline\.append|EventLog\.raise)$/,
        chance: 0.12,
        fromMs: 5 * SECOND_MS,
        toMs: 3 * MINUTE_MS,
        withAll: 0.7,
      },
    ],
  },
  {
    ...MIXED,
    name: "rebuilds",
    weight: 6,
    damage: 0.05,
    operations: 1,
    operationsMax: 4,
    kinds: { correction: 1, rebuild: 8, fill: 1, audit: 0 },
    hangs: [
      {
        // A drain that is in the middle of a step while its store is swapped.
        target: /^(SinkCursor\.advance|UserTimeline\.append|MinuteRollup\.apply|LakeCatalog\.append)$/,
        from: /^(sessions|rollups|lake)#/,
        chance: 0.25,
        fromMs: 2 * SECOND_MS,
        toMs: 40 * SECOND_MS,
        withAll: 0.5,
      },
      {
        target:
          /^(LakeCatalog\.stage|MinuteRollup\.(add|swap)|SinkCursor\.switchTo|EventLog\.(turned|reached)|ReplayDesk\.save)$/,
        chance: 0.07,
        fromMs: SECOND_MS,
        toMs: 2 * MINUTE_MS,
        withAll: 0.3,
      },
    ],
  },
];

const alone = (name: string) => ALONE.find((scenario) => scenario.name === name)!;
const hangsOf = (...names: readonly string[]) => names.flatMap((name) => alone(name).hangs);

/** For calls that come when what they are for is long over. */
const LATE = { fromMs: 20 * MINUTE_MS, toMs: 6 * HOUR_MS, withAll: 0 } as const;

/** A build of the timelines was compared with the live ones. */
const COMPARED = /^UserTimeline\.digest$/;

/** Their weights are the mixture's: the seeds of all others are what they were before there were these. */
const SINCE: readonly Scenario[] = [
  {
    // A job asks for its rule when it has been cancelled.
    ...alone("rules"),
    name: "late-rules",
    weight: 1,
    cancels: 0.4,
    lookMaxMs: 20 * SECOND_MS,
    hangs: [
      {
        target: /^ReplayDesk\.takeRule$/,
        chance: 0.5,
        until: /^ReplayDesk\.act$/,
        fromMs: SECOND_MS,
        toMs: 5 * MINUTE_MS,
        withAll: 0,
      },
    ],
  },
  {
    // The last requests come while a build is swapped in; how far drains have come is told right after it.
    ...alone("rebuilds"),
    name: "idle-turns",
    weight: 1,
    damage: 0,
    splits: 0,
    sinks: ["sessions"],
    manual: true,
    reverts: 0.2,
    kinds: { correction: 0, rebuild: 1, fill: 0, audit: 0 },
    operationsMax: 1,
    beginWithinMs: 5 * SECOND_MS,
    windows: 0,
    lookMaxMs: 10 * SECOND_MS,
    requests: 3,
    repeats: 0,
    spansMs: [MINUTE_MS],
    calm: 0.8,
    hangs: [
      {
        target: /^ReplayDesk\.act$/,
        args: /"swap"/,
        chance: 1,
        fromMs: 30 * SECOND_MS,
        toMs: 45 * SECOND_MS,
        withAll: 0,
      },
      {
        target: /^SinkCursor\.switchTo$/,
        args: /^\[[1-9]/,
        chance: 1,
        fromMs: 10 * SECOND_MS,
        toMs: 30 * SECOND_MS,
        withAll: 0,
      },
      {
        target: /^EventLog\.reached$/,
        from: /^sessions#/,
        after: /^ReplayDesk\.act$/,
        afterArgs: /"swap"/,
        chance: 1,
        until: /^EventLog\.turned$/,
        fromMs: MINUTE_MS,
        toMs: 2 * MINUTE_MS,
        withAll: 0,
      },
    ],
  },
  {
    // What has swapped is told to swap, to come back, or to stay once more.
    ...alone("rules"),
    name: "lost-swaps",
    weight: 1,
    reverts: 0.5,
    operationsMax: 2,
    kinds: { correction: 8, rebuild: 2, fill: 0, audit: 0 },
    impatient: 1,
    calm: 0.7,
    losses: [
      { target: /^(LakeCatalog|MinuteRollup)\.(swap|revert|confirm|discard)$/, chance: 0.4 },
      { target: /^SinkCursor\.(switchTo|moveBuild)$/, chance: 0.2 },
    ],
    hangs: [],
  },
  {
    // A slice's last word comes when another consumer has the job, and is at work.
    ...alone("rebuilds"),
    name: "late-releases",
    weight: 1,
    damage: 0,
    kinds: { correction: 3, rebuild: 6, fill: 1, audit: 0 },
    hangs: [
      {
        target: /^ReplayDesk\.release$/,
        chance: 0.3,
        until: /^ReplayDesk\.save$/,
        fromMs: 62 * SECOND_MS,
        toMs: 5 * MINUTE_MS,
        withAll: 0,
      },
      {
        target: /^(SinkCursor|UserTimeline|MinuteRollup|LakeCatalog)\./,
        from: /^replays#/,
        chance: 0.05,
        fromMs: 10 * SECOND_MS,
        toMs: 50 * SECOND_MS,
        withAll: 0,
      },
    ],
  },
];

/** What is rare in two ways at once. */
export const SCENARIOS: readonly Scenario[] = [
  MIXED,
  ...SINCE,
  ...ALONE,
  {
    ...alone("rebuilds"),
    name: "rebuilt-holes",
    weight: 3,
    damage: 1,
    damageMax: 5,
    sinks: ["sessions"],
    spansMs: [2 * MINUTE_MS, 10 * MINUTE_MS],
    hangs: [
      ...hangsOf("rebuilds"),
      {
        // The live sink stands still, a build reads past it, and then a segment that it has yet to read goes bad.
        target: /^(UserTimeline\.append|SinkCursor\.lease)$/,
        from: /^sessions#/,
        chance: 0.15,
        fromMs: MINUTE_MS,
        toMs: 6 * MINUTE_MS,
        withAll: 1,
      },
    ],
  },
  {
    // The cursor goes over to another build and back, with drains of before under way.
    ...alone("rebuilds"),
    name: "switches",
    weight: 3,
    sinks: ["sessions"],
    reverts: 0.6,
    spansMs: [20 * SECOND_MS, 2 * MINUTE_MS],
    hangs: [
      {
        // A state that is written when later ones have been.
        target: /^SinkCursor\.moveBuild$/,
        chance: 0.12,
        until: /^EventLog\.turned$/,
        fromMs: 20 * MINUTE_MS,
        toMs: 6 * HOUR_MS,
        withAll: 0,
      },
      {
        target: /^SinkCursor\.advance$/,
        from: /^sessions#/,
        chance: 0.4,
        fromMs: SECOND_MS,
        toMs: 19 * SECOND_MS,
        withAll: 0,
      },
      {
        target: /^EventLog\.reached$/,
        from: /^sessions#/,
        chance: 0.5,
        until: /^EventLog\.turned$/,
        fromMs: 5 * SECOND_MS,
        toMs: 14 * MINUTE_MS,
        withAll: 0,
      },
      {
        target: /^SinkCursor\.(switchTo|moveBuild)$/,
        chance: 0.4,
        fromMs: SECOND_MS,
        toMs: 30 * SECOND_MS,
        withAll: 0,
      },
    ],
  },
  {
    ...alone("rebuilds"),
    name: "rebuilt-splits",
    weight: 3,
    splits: 1,
    sinks: ["sessions", "rollups"],
    spansMs: [20 * SECOND_MS, 2 * MINUTE_MS],
  },
  {
    // Answers of swaps and reverts are lost, and the calls come again.
    ...alone("rebuilds"),
    name: "reverts",
    weight: 3,
    reverts: 0.7,
    kinds: { correction: 4, rebuild: 6, fill: 0, audit: 0 },
    faults: { fail_after: 0.12, crash_after: 0.03, repeat: 0.3 },
    hangs: [
      ...hangsOf("rebuilds"),
      {
        // A build that begins when its job is over.
        target: /^MinuteRollup\.begin$/,
        chance: 0.2,
        until: /^MinuteRollup\.(discard|confirm|revert)$/,
        fromMs: 20 * MINUTE_MS,
        toMs: 6 * HOUR_MS,
        withAll: 0,
      },
    ],
  },
  {
    // What a job has staged is older than a day when it is swapped in.
    ...alone("freeze"),
    name: "frozen-swap",
    weight: 2,
    operations: 1,
    operationsMax: 3,
    kinds: { correction: 5, rebuild: 5, fill: 0, audit: 0 },
    sinks: ["lake"],
    hangs: [{ target: /^LakeCatalog\.swap$/, chance: 0.8, times: 1, ...FROZEN }],
  },
  {
    ...alone("rebuilds"),
    name: "rebuilt-rules",
    weight: 3,
    kinds: { correction: 4, rebuild: 6, fill: 1, audit: 0 },
    hangs: hangsOf("rebuilds", "rules"),
  },
  {
    ...alone("compaction"),
    name: "rebuilt-compaction",
    weight: 3,
    operations: 1,
    operationsMax: 4,
    kinds: { correction: 1, rebuild: 8, fill: 0, audit: 0 },
    sinks: ["lake"],
    reverts: 0.6,
    spansMs: [2 * MINUTE_MS, 4 * MINUTE_MS],
    compactEveryMs: 20 * SECOND_MS,
  },
  { ...alone("holes"), name: "ruled-holes", weight: 3, operations: 1, operationsMax: 3, kinds: alone("rules").kinds },
  {
    ...alone("split"),
    name: "ruled-splits",
    weight: 3,
    operations: 1,
    operationsMax: 4,
    kinds: alone("rules").kinds,
    hangs: [
      {
        // Raised by a Worker of before the split, and there only when a child has joined.
        target: /^EventLog\.raise$/,
        from: /^replays#/,
        chance: 0.5,
        until: /^EventLog\.partWith$/,
        fromMs: SECOND_MS,
        toMs: 10 * MINUTE_MS,
        withAll: 0,
      },
      {
        target: /^EventLog\.(raise|partWith|commit)$/,
        chance: 0.2,
        fromMs: SECOND_MS,
        toMs: 40 * SECOND_MS,
        withAll: 0.3,
      },
    ],
  },
  {
    // The same ids by other identities and labels, while shards are split.
    ...alone("split"),
    name: "twins",
    weight: 3,
    splits: 0.5,
    oddities: 1,
    spansMs: [2 * MINUTE_MS, 10 * MINUTE_MS],
    // An original that comes long after what replaces it.
    hangs: [
      {
        target: /^EventLog\.commit$/,
        chance: 0.25,
        fromMs: SECOND_MS,
        toMs: 40 * MINUTE_MS,
        withAll: 0,
      },
    ],
  },
  {
    // Ids are asked for while the runs that they stand in are merged.
    ...MIXED,
    name: "merges",
    weight: 1,
    damage: 0,
    operations: 0.1,
    splits: 0.1,
    requests: 5,
    repeats: 0.8,
    repeatWithinMs: MINUTE_MS,
    spansMs: [MINUTE_MS, 2 * MINUTE_MS],
    tight: { windows: 1, idsPerRow: 4 },
  },
  {
    // What a build's swap asks of cursors and logs comes when the swap has been taken back.
    ...alone("rebuilds"),
    name: "late-switches",
    weight: 2,
    damage: 0,
    sinks: ["sessions"],
    reverts: 0.75,
    kinds: { correction: 0, rebuild: 1, fill: 0, audit: 0 },
    windows: 0,
    lookMaxMs: 8 * SECOND_MS,
    requests: 8,
    spansMs: [2 * MINUTE_MS, 3 * MINUTE_MS],
    hangs: [
      {
        target: /^SinkCursor\.switchTo$/,
        args: /^\[[1-9]/,
        chance: 0.4,
        until: /^SinkCursor\.switchTo$/,
        untilArgs: /^\[0,/,
        ...LATE,
      },
      { target: /^SinkCursor\.moveBuild$/, args: /"(swapping|reverting)"/, chance: 0.3, ...LATE, fromMs: 2 * HOUR_MS },
      {
        target: /^SinkCursor\.advance$/,
        from: /^sessions#/,
        chance: 0.25,
        until: /^SinkCursor\.switchTo$/,
        fromMs: SECOND_MS,
        toMs: 19 * SECOND_MS,
        withAll: 0,
      },
      {
        target: /^EventLog\.reached$/,
        from: /^sessions#/,
        chance: 0.6,
        until: /^EventLog\.turned$/,
        fromMs: 5 * SECOND_MS,
        toMs: 14 * MINUTE_MS,
        withAll: 0,
      },
    ],
  },
  {
    // A build waits for its swap, and drains that were under way before it come to their end right after it.
    ...alone("rebuilds"),
    name: "idle-switches",
    weight: 2,
    damage: 0,
    sinks: ["sessions"],
    manual: true,
    reverts: 0.6,
    kinds: { correction: 0, rebuild: 1, fill: 0, audit: 0 },
    windows: 0,
    lookMaxMs: 90 * SECOND_MS,
    requests: 10,
    spansMs: [3 * MINUTE_MS, 4 * MINUTE_MS],
    faults: { alarm_late: 0.5 },
    hangs: [
      {
        target: /^SinkCursor\.advance$/,
        from: /^sessions#/,
        after: COMPARED,
        chance: 0.8,
        until: /^SinkCursor\.switchTo$/,
        fromMs: 5 * MINUTE_MS,
        toMs: 10 * MINUTE_MS,
        withAll: 0,
      },
      {
        target: /^SinkCursor\.lease$/,
        from: /^sessions#/,
        after: COMPARED,
        chance: 0.25,
        until: /^SinkCursor\.switchTo$/,
        fromMs: 5 * MINUTE_MS,
        toMs: 10 * MINUTE_MS,
        withAll: 0,
      },
      {
        target: /^EventLog\.reached$/,
        from: /^sessions#/,
        after: COMPARED,
        chance: 0.9,
        until: /^EventLog\.turned$/,
        fromMs: 5 * MINUTE_MS,
        toMs: 10 * MINUTE_MS,
        withAll: 0,
      },
    ],
  },
  {
    // The live sink stands still, a build has read past it and waits for its swap; then what the live sink has yet to read goes bad.
    ...alone("rebuilds"),
    name: "unread-holes",
    weight: 2,
    damage: 1,
    damageUnread: 1,
    sinks: ["sessions"],
    manual: true,
    windows: 0,
    operationsMax: 1,
    kinds: { correction: 0, rebuild: 1, fill: 0, audit: 0 },
    spansMs: [3 * MINUTE_MS, 4 * MINUTE_MS],
    hangs: [
      {
        target: /^SinkCursor\.lease$/,
        from: /^sessions#/,
        chance: 0.15,
        fromMs: 3 * MINUTE_MS,
        toMs: 5 * MINUTE_MS,
        withAll: 1,
      },
      {
        target: /^ReplayDesk\.act$/,
        args: /"swap"/,
        chance: 0.9,
        fromMs: 8 * MINUTE_MS,
        toMs: 14 * MINUTE_MS,
        withAll: 0,
      },
    ],
  },
  {
    // Drains that decide a hole when others have read on.
    ...alone("holes"),
    name: "stragglers",
    weight: 2,
    operations: 0,
    splits: 0.1,
    damageMax: 3,
    damageTaken: 0.5,
    spansMs: [5 * MINUTE_MS, 8 * MINUTE_MS],
    hangs: [
      {
        target: /^(SinkCursor|LakeCatalog)\.(decide|failed)$/,
        chance: 0.4,
        fromMs: 3 * MINUTE_MS,
        toMs: 10 * MINUTE_MS,
        withAll: 0,
      },
      {
        target: /^SinkCursor\.advance$/,
        from: /^sessions#/,
        chance: 0.15,
        until: /^SinkCursor\.decide$/,
        fromMs: 2 * MINUTE_MS,
        toMs: 8 * MINUTE_MS,
        withAll: 0,
      },
    ],
  },
  {
    // What was left out comes back while requests still come, by drains that are overtaken.
    ...alone("holes"),
    name: "late-leaves",
    weight: 1,
    operations: 0,
    splits: 0,
    damageMax: 8,
    damageTaken: 1,
    redriveEveryMs: 40 * SECOND_MS,
    subjects: [30, 40],
    spansMs: [10 * MINUTE_MS],
    hangs: [
      {
        target: /^SinkCursor\.advance$/,
        from: /^sessions#/,
        chance: 0.2,
        fromMs: 25 * SECOND_MS,
        toMs: 90 * SECOND_MS,
        withAll: 0,
      },
      {
        // A device is told that redriven events have gone.
        target: /^UserTimeline\.amend$/,
        from: /^sessions#/,
        args: /"left"/,
        chance: 0.6,
        fromMs: 25 * SECOND_MS,
        toMs: 3 * MINUTE_MS,
        withAll: 0,
      },
    ],
  },
  {
    // Timelines have taken a segment through a rule that gave its events to others, and it goes bad.
    ...alone("holes"),
    name: "moved-holes",
    weight: 2,
    operations: 1,
    operationsMax: 2,
    identities: true,
    kinds: { correction: 1, rebuild: 0, fill: 0, audit: 0 },
    damageMax: 3,
    damageTaken: 1,
    spansMs: [20 * SECOND_MS, 2 * MINUTE_MS],
    hangs: [
      {
        // Sessions read on when the rule is there.
        target: /^SinkCursor\.lease$/,
        from: /^sessions#/,
        chance: 0.9,
        times: 20,
        until: /^EventLog\.raise$/,
        fromMs: 2 * MINUTE_MS,
        toMs: 4 * MINUTE_MS,
        withAll: 0,
      },
      {
        target: /^SinkCursor\.advance$/,
        from: /^sessions#/,
        chance: 0.5,
        fromMs: 25 * SECOND_MS,
        toMs: 3 * MINUTE_MS,
        withAll: 0,
      },
    ],
  },
  {
    // What a rebuild has put into the lake is compacted before it is taken back.
    ...alone("rebuilds"),
    name: "replaced-builds",
    weight: 2,
    damage: 0,
    sinks: ["lake"],
    reverts: 0.9,
    operationsMax: 2,
    kinds: { correction: 0, rebuild: 1, fill: 0, audit: 0 },
    windows: 0,
    lookMaxMs: MINUTE_MS,
    requests: 6,
    spansMs: [MINUTE_MS, 2 * MINUTE_MS],
    compactEveryMs: 25 * SECOND_MS,
    tight: { compactAboveFiles: 2, compactInputs: 3, stepEvents: 3, replayedEvents: 3 },
    faults: { fail_after: 0.1 },
    hangs: [],
  },
  {
    // What begins a job, or says how far it is, comes when it has long ended, and another rule is in force.
    ...alone("rebuilds"),
    name: "late-jobs",
    weight: 2,
    damage: 0,
    sinks: ["rollups"],
    kinds: { correction: 5, rebuild: 4, fill: 0, audit: 0 },
    spansMs: [20 * SECOND_MS, 2 * MINUTE_MS],
    hangs: [
      { target: /^MinuteRollup\.begin$/, chance: 0.35, fromMs: HOUR_MS, toMs: 3 * HOUR_MS, withAll: 0 },
      {
        target: /^ReplayDesk\.save$/,
        chance: 0.05,
        until: /^ReplayDesk\.release$/,
        fromMs: 70 * SECOND_MS,
        toMs: 30 * MINUTE_MS,
        withAll: 0,
      },
    ],
  },
];

export function scenarioOf(seed: number): Scenario {
  return new Random(seed ^ 0x0dd5_0f_1e).weighted(SCENARIOS);
}
