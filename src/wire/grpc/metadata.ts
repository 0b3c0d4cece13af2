import { GrpcWireError } from './errors.ts';

/**
 * The caller's metadata among the raw headers of a call (name, value, name, value …): what HTTP/2 and gRPC use themselves is left out;
 * repeated names keep all their values, in order; joined binary values are taken apart and stay base64.
 * @throws GrpcWireError ERR_GRPC_METADATA
 */
export function parseMetadata(rawHeaders: readonly string[]): Map<string, string[]> {
  const metadata = new Map<string, string[]>();
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? '';
    const value = rawHeaders[i + 1] ?? '';
    if (name.startsWith(':') || name.startsWith('grpc-') || TRANSPORT_HEADERS.has(name)) continue;
    checkMetadata(name, value);
    const values = name.endsWith('-bin') ? value.split(',').map((part) => part.trim()) : [value];
    const known = metadata.get(name);
    if (known === undefined) metadata.set(name, values);
    else known.push(...values);
  }
  return metadata;
}

/** Checks one name and value against what gRPC allows. The value is not repeated in the message: it may be a credential. @throws GrpcWireError ERR_GRPC_METADATA */
export function checkMetadata(name: string, value: string): void {
  if (!/^[a-z0-9_.-]+$/.test(name)) {
    throw new GrpcWireError('ERR_GRPC_METADATA', 'a metadata name holds only a-z, 0-9, dot, dash and underscore');
  }
  if (!/^[\x20-\x7e]*$/.test(value)) {
    throw new GrpcWireError('ERR_GRPC_METADATA', `the value of metadata ${name} holds only printable ASCII`);
  }
}

/** True for the content types of gRPC with protocol buffers. */
export function isGrpcContentType(value: string | undefined): boolean {
  return value !== undefined && /^application\/grpc(\+proto)?\s*(;.*)?$/i.test(value);
}

const TRANSPORT_HEADERS: ReadonlySet<string> = new Set(['te', 'content-type', 'content-length', 'accept-encoding']);
