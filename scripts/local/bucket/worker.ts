/** Reads of a bucket for Workers in another process (far-bucket.ts): the body as it is, its size and etag as headers. */
import { WorkerEntrypoint } from "cloudflare:workers";
import type { FarGet } from "./far-bucket.ts";

export class Bucket extends WorkerEntrypoint<Readonly<Record<string, R2Bucket>>, { bucket: string }> {
  override async fetch(request: Request): Promise<Response> {
    const { key, range }: FarGet = await request.json();
    try {
      const object = await this.env[this.ctx.props.bucket]!.get(key, { ...(range && { range }) });
      if (!object) return new Response(null, { status: 404 });
      return new Response(object.body, {
        headers: {
          etag: object.etag,
          "x-object-size": String(object.size),
          // Else it would be packed on its way.
          "content-encoding": "identity",
        },
      });
    } catch (error) {
      return new Response((error as Error).message, { status: 502 });
    }
  }
}

export default {
  fetch: () => new Response(null, { status: 404 }),
} satisfies ExportedHandler;
