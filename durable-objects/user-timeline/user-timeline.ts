import { DurableObject } from "cloudflare:workers";

/** Placeholder: the class that implements ./api.ts. */
export class UserTimeline extends DurableObject {}
