import { DurableObject } from "cloudflare:workers";

/** Placeholder: the class that implements ./api.ts. */
export class LakeCatalog extends DurableObject {}
