import { CodedError, type ErrorEntry, type ErrorTable } from '../std/index.ts';

export const errorTable = {
  ERR_DOCUMENT_FORM: {
    status: 400,
    exit: 'usage',
    meaning:
      'A file that should describe an API is no OpenAPI document of 3.0 to 3.2 and no set of protobuf descriptors.',
    remedy: 'Mend the place that the message names; convert Swagger 2.0 to OpenAPI 3 first.',
  },
  ERR_DOCUMENT_SIZE: {
    status: 400,
    exit: 'usage',
    meaning:
      'A document that describes an API is larger or deeper than is read, or has more operations than a target can have routes.',
    remedy: 'Take a part of it: `countersign target routes --under /PATH` takes the operations below a path.',
  },
  ERR_DOCUMENT_REFERENCE: {
    status: 400,
    exit: 'usage',
    meaning:
      'A document refers to another file or address, to what is not there, or to itself in a circle. Nothing but the one file is read.',
    remedy: 'Bundle the document into one file with the tool that made it, and name that file.',
  },
} as const satisfies ErrorTable;

/** Why a document is not read. */
export class DocumentError extends CodedError<keyof typeof errorTable> {
  get entry(): ErrorEntry {
    return errorTable[this.code];
  }
}
