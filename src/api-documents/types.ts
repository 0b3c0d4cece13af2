import type { Schemas } from './schemas.ts';

/** A document, read. */
export interface ApiDocument {
  readonly kind: 'openapi' | 'grpc';
  /** In the document's order; one with the base `''` where it names none. */
  readonly servers: readonly ApiServer[];
  readonly operations: readonly Operation[];
  /** Parameters that hold credentials, by its security schemes: `header.x-api-key`, `query.key`. */
  readonly credentials: ReadonlySet<string>;
  readonly schemas: Schemas;
}

/** Where an API is. */
export interface ApiServer {
  readonly url: string;
  /** The path of the URL, which all paths are below: `/v1`, or `''`. */
  readonly base: string;
}

/** One operation of an API. */
export interface Operation {
  /** In upper case. */
  readonly method: string;
  /** As the document writes it, without the server's base. */
  readonly path: string;
  /** The base of servers that are its own; undefined: the document's. */
  readonly base: string | undefined;
  /** What the document calls it. */
  readonly id: string | undefined;
  readonly parameters: readonly ApiParameter[];
  /** Schemas of its JSON bodies. */
  readonly requests: readonly unknown[];
  /** Schemas of its JSON answers, of every status. */
  readonly answers: readonly unknown[];
  /** What a reader of its route should know: `server streaming`. */
  readonly remark: string | undefined;
}

/** A value of a request beside its path and body. */
export interface ApiParameter {
  readonly in: 'query' | 'header';
  /** Of a header in lower case. */
  readonly name: string;
  /** Its schema says that it is a password. */
  readonly isPassword: boolean;
}

/** A route as a target has it. */
export interface WrittenRoute {
  readonly name: string;
  /** Absent: every method. */
  readonly methods?: readonly string[] | undefined;
  readonly path: string;
  readonly reads?: readonly string[] | undefined;
}
