/**
 * A data file that is stored while it is made: parts of one size, of which memory holds one. A file that ends before its
 * first part is full is a plain put. Nothing names the file until a commit does, and R2 shows no object before
 * `complete`, so a crash leaves an upload that is aborted: by whoever catches it, else by the sweep, which finds it in the
 * catalog's list of uploads, else by the bucket's own rule (7 days).
 */
import { LAKE } from "../../r2-layout/limits.ts";
import { PARQUET_METADATA } from "../lake/sink.ts";

/** The slice of R2 that this needs. */
export interface UploadStore {
  put(key: string, body: Uint8Array, options: typeof PARQUET_METADATA): Promise<unknown>;
  createMultipartUpload(key: string, options: typeof PARQUET_METADATA): Promise<Upload>;
  resumeMultipartUpload(key: string, uploadId: string): Pick<Upload, "abort">;
}

export interface Upload {
  readonly uploadId: string;
  uploadPart(number: number, body: Uint8Array): Promise<UploadedPart>;
  complete(parts: UploadedPart[]): Promise<unknown>;
  abort(): Promise<void>;
}

export interface UploadedPart {
  partNumber: number;
  etag: string;
}

/** Keeps in mind which uploads there are, for those that nobody ends. */
export interface UploadList {
  began(key: string, uploadId: string): Promise<void>;
  ended(key: string): Promise<void>;
}

export class MultipartFile {
  readonly #store: UploadStore;
  readonly #uploads: UploadList;
  readonly #key: string;
  readonly #parts: UploadedPart[] = [];
  #buffer = new Uint8Array(64 * 1_024);
  #filled = 0;
  #upload: Upload | null = null;

  constructor(store: UploadStore, uploads: UploadList, key: string) {
    this.#store = store;
    this.#uploads = uploads;
    this.#key = key;
  }

  async append(bytes: Uint8Array): Promise<void> {
    for (let from = 0; from < bytes.length; ) {
      const piece = bytes.subarray(from, from + LAKE.uploadPartBytes - this.#filled);
      this.#reserve(this.#filled + piece.length);
      this.#buffer.set(piece, this.#filled);
      this.#filled += piece.length;
      from += piece.length;
      if (this.#filled === LAKE.uploadPartBytes) await this.#send();
    }
  }

  async close(): Promise<void> {
    const rest = this.#buffer.subarray(0, this.#filled);
    if (this.#upload === null) {
      await this.#store.put(this.#key, rest, PARQUET_METADATA);
      return;
    }
    if (this.#filled > 0) await this.#send();
    await this.#upload.complete(this.#parts);
    await this.#uploads.ended(this.#key);
  }

  /** Safe after anything. */
  async abort(): Promise<void> {
    if (this.#upload === null) return;
    await this.#upload.abort();
    await this.#uploads.ended(this.#key);
  }

  async #send(): Promise<void> {
    if (this.#upload === null) {
      this.#upload = await this.#store.createMultipartUpload(this.#key, PARQUET_METADATA);
      await this.#uploads.began(this.#key, this.#upload.uploadId);
    }
    const number = this.#parts.length + 1;
    this.#parts.push(await this.#upload.uploadPart(number, this.#buffer.subarray(0, this.#filled)));
    this.#filled = 0;
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#buffer.length) return;
    const larger = new Uint8Array(Math.min(LAKE.uploadPartBytes, Math.max(2 * this.#buffer.length, bytes)));
    larger.set(this.#buffer.subarray(0, this.#filled));
    this.#buffer = larger;
  }
}
