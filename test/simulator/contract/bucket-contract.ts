/** What the code relies on of an R2 bucket. Run against the simulated one and against the real one in workerd. */
import { describe, expect, it } from "vitest";

const bytes = (...values: number[]) => new Uint8Array(values);
const text = (value: string) => new TextEncoder().encode(value);

/** @param begin an empty bucket. */
export function bucketContract(begin: () => Promise<R2Bucket>): void {
  describe("a bucket", () => {
    it("gives back what was put: bytes, text, and a view into a larger buffer", async () => {
      const bucket = await begin();
      await bucket.put("a", bytes(1, 2, 3));
      await bucket.put("b", "ünïcode");
      await bucket.put("c", bytes(9, 1, 2, 9).subarray(1, 3));
      await bucket.put("d", bytes(7).buffer);
      const read = async (key: string) => [...new Uint8Array(await (await bucket.get(key))!.arrayBuffer())];
      expect(await read("a")).toEqual([1, 2, 3]);
      expect(await (await bucket.get("b"))!.text()).toBe("ünïcode");
      expect(await read("c")).toEqual([1, 2]);
      expect(await read("d")).toEqual([7]);
    });

    it("knows nothing of a key that was not put, or was deleted", async () => {
      const bucket = await begin();
      await bucket.put("a", "1");
      await bucket.put("b", "2");
      await bucket.put("c", "3");
      await bucket.delete(["a", "none"]);
      await bucket.delete("b");
      expect(await bucket.get("a")).toBeNull();
      expect(await bucket.head("b")).toBeNull();
      expect(await (await bucket.get("c"))!.text()).toBe("3");
    });

    it("says key, size, time, metadata and an etag that changes with what is put", async () => {
      const bucket = await begin();
      const before = Date.now() - 5_000;
      const first = await bucket.put("a", "1", {
        customMetadata: { cause: "why" },
        httpMetadata: { contentType: "text/x" },
      });
      expect(first).toMatchObject({ key: "a", size: 1 });
      const head = (await bucket.head("a"))!;
      expect(head).toMatchObject({
        key: "a",
        size: 1,
        etag: first.etag,
        customMetadata: { cause: "why" },
        httpMetadata: { contentType: "text/x" },
      });
      expect(head.uploaded.getTime()).toBeGreaterThan(before);
      const second = await bucket.put("a", "22");
      expect(second!.etag).not.toBe(first.etag);
      expect((await bucket.head("a"))!).toMatchObject({ size: 2, etag: second!.etag, customMetadata: {} });
    });

    it("reads a range: from an offset, a length, a suffix", async () => {
      const bucket = await begin();
      await bucket.put("a", "0123456789");
      const read = async (range: R2Range) => (await bucket.get("a", { range }))!.text();
      expect(await read({ offset: 2, length: 3 })).toBe("234");
      expect(await read({ offset: 7 })).toBe("789");
      expect(await read({ suffix: 4 })).toBe("6789");
      expect(await read({ offset: 8, length: 100 })).toBe("89");
      expect((await bucket.get("a", { range: { offset: 2, length: 3 } }))!.size).toBe(10);
      await expect(read({ offset: 10 })).rejects.toThrow();
    });

    it("writes only where the condition holds, and says null where it does not", async () => {
      const bucket = await begin();
      const create = { onlyIf: { etagDoesNotMatch: "*" } };
      const first = await bucket.put("a", "1", create);
      expect(first).not.toBeNull();
      expect(await bucket.put("a", "2", create)).toBeNull();
      expect(await bucket.put("a", "3", { onlyIf: { etagMatches: "0".repeat(32) } })).toBeNull();
      expect(await (await bucket.get("a"))!.text()).toBe("1");
      expect(await bucket.put("a", "4", { onlyIf: { etagMatches: first!.etag } })).not.toBeNull();
      expect(await (await bucket.get("a"))!.text()).toBe("4");
    });

    it("lists keys of a prefix in order, page by page", async () => {
      const bucket = await begin();
      for (const key of ["p/b", "p/a", "p/d", "q/a", "p/c", "p/aa", "o"]) await bucket.put(key, text(key));
      const found: string[] = [];
      let pages = 0;
      for (let cursor: string | undefined; ; ) {
        const page: R2Objects = await bucket.list({ prefix: "p/", limit: 2, ...(cursor !== undefined && { cursor }) });
        pages++;
        found.push(...page.objects.map(({ key }) => key));
        if (!page.truncated) break;
        cursor = page.cursor;
      }
      expect(found).toEqual(["p/a", "p/aa", "p/b", "p/c", "p/d"]);
      expect(pages).toBe(3);
      const after = await bucket.list({ prefix: "p/", startAfter: "p/b" });
      expect(after.objects.map(({ key }) => key)).toEqual(["p/c", "p/d"]);
      expect((await bucket.list({ prefix: "none/" })).objects).toEqual([]);
    });

    it("lists size, time and, where asked for, metadata", async () => {
      const bucket = await begin();
      await bucket.put("p/a", "12", { customMetadata: { cause: "why" } });
      const [plain] = (await bucket.list({ prefix: "p/" })).objects;
      expect(plain).toMatchObject({ key: "p/a", size: 2 });
      expect(plain!.uploaded).toBeInstanceOf(Date);
      const [told] = (await bucket.list({ prefix: "p/", include: ["customMetadata"] })).objects;
      expect(told!.customMetadata).toEqual({ cause: "why" });
    });
  });
}
