/**
 * The Worker under test in the `workerd` project: the pipeline's handlers and every object class, in one isolate and
 * under the platform's limits, as in a local run.
 */
import { DurableObject } from "cloudflare:workers";
import { limitHandlers, limitObject } from "../scripts/local/limits/entry.ts";
import * as objects from "../workers/objects/index.ts";
import pipeline from "../workers/pipeline/index.ts";
import { contractObject } from "./simulator/contract/contract-object.ts";

export default limitHandlers(pipeline);
export const ContractHealth = limitObject(objects.ContractHealth, "ContractHealth");
export const ContractRegistry = limitObject(objects.ContractRegistry, "ContractRegistry");
export const EventLog = limitObject(objects.EventLog, "EventLog");
export const LakeCatalog = limitObject(objects.LakeCatalog, "LakeCatalog");
export const LiveHub = limitObject(objects.LiveHub, "LiveHub");
export const MinuteRollup = limitObject(objects.MinuteRollup, "MinuteRollup");
export const PiiAudit = limitObject(objects.PiiAudit, "PiiAudit");
export const PiiKey = limitObject(objects.PiiKey, "PiiKey");
export const QueryBudget = limitObject(objects.QueryBudget, "QueryBudget");
export const ReplayDesk = limitObject(objects.ReplayDesk, "ReplayDesk");
export const SinkCursor = limitObject(objects.SinkCursor, "SinkCursor");
export const TileRegistry = limitObject(objects.TileRegistry, "TileRegistry");
export const TileRollup = limitObject(objects.TileRollup, "TileRollup");
export const EmailIndex = limitObject(objects.EmailIndex, "EmailIndex");
export const UserTimeline = limitObject(objects.UserTimeline, "UserTimeline");
/** For the contract that the simulated objects keep, too (test/simulator/contract). */
export const ContractObject = contractObject(DurableObject as never);
