/**
 * Documents that describe an API: OpenAPI 3.0 to 3.2, in JSON or YAML, and sets of protobuf descriptors, read into operations; routes made of
 * these, and routes, values and masked fields held against them.
 *
 * It promises that any bytes end in operations or in an error with what to do, in bounded time; that the same document, in whatever order it is
 * written, gives the same routes; and that nothing is said to be missing where the document leaves open what there is. It must not know how a target's
 * config is checked (that is passed in), where files lie, or what policies say. Nothing here decides about a request.
 */
export { createDescription, type DescribedTarget, type Description, type MaskedField } from './checks.ts';
export { DocumentError, errorTable } from './errors.ts';
export { type ImportedRoute, importRoutes, type ReadKind, type RouteImport, readKinds } from './import-routes.ts';
export { readDocument } from './read-document.ts';
export type { ApiDocument, ApiServer, Operation, WrittenRoute } from './types.ts';
