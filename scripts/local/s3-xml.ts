/** What S3 answers in XML: listings and errors. */

export interface ListedPage {
  readonly bucketName: string;
  readonly prefix: string;
  readonly delimiter: string;
  readonly keysMax: number;
  readonly objects: readonly {
    readonly key: string;
    readonly size: number;
    readonly etag: string;
    readonly uploaded: Date;
  }[];
  readonly prefixes: readonly string[];
  /** Where the next page begins, null at the end. */
  readonly next: string | null;
  /** Keys as in an address: what a client asks for that keys may break XML for. */
  readonly isUrlEncoded: boolean;
}

const HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n';
const NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';

export function listXml(page: ListedPage): string {
  const name = (key: string) => escaped(page.isUrlEncoded ? encodeURIComponent(key).replaceAll("%2F", "/") : key);
  const contents = page.objects.map(
    ({ key, size, etag, uploaded }) =>
      `<Contents><Key>${name(key)}</Key><LastModified>${uploaded.toISOString()}</LastModified>` +
      `<ETag>${escaped(etag)}</ETag><Size>${size}</Size><StorageClass>STANDARD</StorageClass></Contents>`,
  );
  const prefixes = page.prefixes.map((prefix) => `<CommonPrefixes><Prefix>${name(prefix)}</Prefix></CommonPrefixes>`);
  return [
    `${HEAD}<ListBucketResult ${NAMESPACE}><Name>${escaped(page.bucketName)}</Name><Prefix>${name(page.prefix)}</Prefix>`,
    page.delimiter === "" ? "" : `<Delimiter>${escaped(page.delimiter)}</Delimiter>`,
    page.isUrlEncoded ? "<EncodingType>url</EncodingType>" : "",
    `<KeyCount>${page.objects.length + page.prefixes.length}</KeyCount><MaxKeys>${page.keysMax}</MaxKeys>`,
    `<IsTruncated>${page.next !== null}</IsTruncated>`,
    page.next === null ? "" : `<NextContinuationToken>${escaped(page.next)}</NextContinuationToken>`,
    ...contents,
    ...prefixes,
    "</ListBucketResult>",
  ].join("");
}

export const locationXml = (): string => `${HEAD}<LocationConstraint ${NAMESPACE}>auto</LocationConstraint>`;

export const errorXml = (code: string, message: string): string =>
  `${HEAD}<Error><Code>${code}</Code><Message>${escaped(message)}</Message></Error>`;

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const escaped = (text: string): string => text.replace(/[&<>"]/g, (char) => ENTITIES[char]!);
