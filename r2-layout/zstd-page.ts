/**
 * Pages of a Parquet file that are packed by zstd, unpacked by the runtime.
 *
 * workerd (1.20260815 at least) ends a sync read of a whole frame with "unexpected end of file" where the last bytes fill
 * its buffer and the frame's end is not told yet: about one page in seven whose length is a multiple of 16 KiB, as that of
 * 20,480 numbers is (the encoder has the same fault: https://github.com/cloudflare/workerd/issues/6769). Flushed instead of
 * ended, it gives all there is; that it is whole, the page's own length says.
 */
import { constants, zstdDecompressSync } from "node:zlib";

/** @param length of the plain page, bytes. @throws where the page is damaged or cut. */
function unpackZstd(packed: Uint8Array, length: number): Uint8Array {
  const page = new Uint8Array(zstdDecompressSync(packed, { finishFlush: constants.ZSTD_e_flush }));
  if (page.length !== length) throw new Error(`a page of ${length} bytes unpacks to ${page.length}`);
  return page;
}

/** As hyparquet takes them. */
export const PAGE_COMPRESSORS = { ZSTD: unpackZstd };
