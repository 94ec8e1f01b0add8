/** The Worker under test in the `workerd` project: the pipeline's handlers and every object class, in one isolate. */

export * from "../workers/objects/index.ts";
export { default } from "../workers/pipeline/index.ts";
