import { DurableObject } from "cloudflare:workers";

/** Placeholder: the class that implements ./api.ts. */
export class MinuteRollup extends DurableObject {}
