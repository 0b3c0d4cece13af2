import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { DocumentError } from './errors.ts';
import { createReferences } from './references.ts';
import { createSchemas } from './schemas.ts';
import type { ApiDocument, Operation } from './types.ts';

/** Reads a FileDescriptorSet, as `protoc --descriptor_set_out` and `buf build` write it. @throws DocumentError ERR_DOCUMENT_FORM */
export function readDescriptorSet(bytes: Uint8Array): ApiDocument {
  const operations = filesIn(bytes).flatMap((file) =>
    file.service.flatMap((service) =>
      service.method.map((method): Operation => {
        const name = file.package === '' ? service.name : `${file.package}.${service.name}`;
        const ways = [...(method.clientStreaming ? ['client'] : []), ...(method.serverStreaming ? ['server'] : [])];
        return {
          ...{ method: 'POST', path: `/${name}/${method.name}`, base: undefined, id: `${service.name}-${method.name}` },
          ...{
            parameters: [],
            requests: [],
            remark: ways.length === 0 ? undefined : `${ways.join(' and ')} streaming`,
          },
          // They are no JSON: a mask refuses them, whatever it names.
          answers: [true],
        };
      }),
    ),
  );
  return {
    ...{ kind: 'grpc', operations, servers: [{ url: '/', base: '' }], credentials: new Set() },
    schemas: createSchemas(createReferences({})),
  };
}

function filesIn(bytes: Uint8Array) {
  let files: ReturnType<typeof decoded>;
  try {
    files = decoded(bytes);
  } catch (cause) {
    throw new DocumentError('ERR_DOCUMENT_FORM', NO_SET, { cause });
  }
  if (files.length === 0 || files.some(({ name }) => name === '')) throw new DocumentError('ERR_DOCUMENT_FORM', NO_SET);
  return files;
}

function decoded(bytes: Uint8Array) {
  return fromBinary(FileDescriptorSetSchema, bytes).file;
}

const NO_SET =
  'it is neither text nor a set of protobuf descriptors; `protoc --include_imports --descriptor_set_out=FILE` and `buf build -o FILE.binpb` write one';
