import { readFileSync, statSync } from 'node:fs';
import { type ApiDocument, DocumentError, readDocument } from '../../api-documents/index.ts';
import { UsageError } from '../command.ts';

/** Reads a document that describes an API; `named` says who names it, as in `target.yaml:3:1: describedBy: `. @throws UsageError, DocumentError */
export function readDocumentFile(file: string, named = ''): ApiDocument {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) throw new UsageError(`${named}there is no ${file}`);
  if (!stat.isFile()) throw new UsageError(`${named}${file} is no file`);
  // What is too large is not even read: a document says so of bytes that it is given.
  if (stat.size > FILE_BYTES_MAX)
    throw new DocumentError(
      'ERR_DOCUMENT_SIZE',
      `${named}${file}: it has ${stat.size} bytes, of which ${FILE_BYTES_MAX} are read`,
    );
  return inDocument(file, () => readDocument(readFileSync(file)), named);
}

/** What is wrong with a document, with its file. @throws what `read` throws */
export function inDocument<T>(file: string, read: () => T, named = ''): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof DocumentError
      ? new DocumentError(error.code, `${named}${file}: ${error.message}`, { cause: error })
      : error;
  }
}

const FILE_BYTES_MAX = 20 << 20;
