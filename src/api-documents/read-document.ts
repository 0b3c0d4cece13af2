import { isUtf8 } from 'node:buffer';
import { readDescriptorSet } from './descriptor-set.ts';
import { DocumentError } from './errors.ts';
import { readOpenApi } from './openapi.ts';
import { readText } from './read-text.ts';
import type { ApiDocument } from './types.ts';

/**
 * Reads a document by what its bytes are: text is OpenAPI in JSON or YAML, anything else a set of protobuf descriptors.
 * @throws DocumentError ERR_DOCUMENT_FORM | ERR_DOCUMENT_SIZE | ERR_DOCUMENT_REFERENCE
 */
export function readDocument(bytes: Uint8Array): ApiDocument {
  if (bytes.length > BYTES_MAX)
    throw new DocumentError('ERR_DOCUMENT_SIZE', `it has ${bytes.length} bytes, of which ${BYTES_MAX} are read`);
  if (!isUtf8(bytes) || CONTROL.test(Buffer.from(bytes.subarray(0, LOOKED_AT_BYTES)).toString('latin1')))
    return readDescriptorSet(bytes);
  return readOpenApi(readText(new TextDecoder().decode(bytes)));
}

const BYTES_MAX = 20 << 20;
const LOOKED_AT_BYTES = 4096;
/** What no text has, and what lengths and tags of protobuf are. */
const CONTROL = /[\0-\x08\x0b\x0c\x0e-\x1f]/;
