import { ApiProblem } from './api-problem.ts';
import { readEvents } from './event-stream.ts';
import { type CallName, type FollowName, type Operations, operations } from './operations.generated.ts';

/** How one call is made. */
export interface ApiCallOptions {
  /** Ends the call. */
  readonly signal?: AbortSignal;
  /** Only if what is in force has this tag, as `tag` of an answer before gave it. */
  readonly ifMatch?: string;
  /** Makes an act that is sent again with the same key one that was done once. */
  readonly idempotencyKey?: string;
}

/** An answer. */
export interface ApiAnswer<Output> {
  readonly output: Output;
  /** Tells this state of it from another; undefined where the server gives none. */
  readonly tag: string | undefined;
  /** It was done before, by the same key. */
  readonly isRepeated: boolean;
}

/** One event of those that were followed. */
export interface ApiEvent<Event> {
  /** To be given as `lastEventId` when one comes again. */
  readonly id: string;
  readonly event: Event;
}

/** How one follows. */
export interface ApiFollowOptions {
  /** Ends it. */
  readonly signal?: AbortSignal | undefined;
  /** Goes on behind that event, or from how far it was told. */
  readonly lastEventId?: string | undefined;
  /** Called when the server begins to tell. */
  readonly onOpen?: (() => void) | undefined;
  /** Called with how far it was told where nothing happened: a `lastEventId` as well. */
  readonly onStanding?: ((id: string) => void) | undefined;
}

/** A Countersign server, by its REST API. */
export interface ApiClient {
  /**
   * Asks once.
   * @throws ApiProblem what the server answered instead; Error when it was not reached, or `signal` has aborted
   */
  call<Name extends CallName>(
    name: Name,
    input: Operations[Name]['input'],
    options?: ApiCallOptions,
  ): Promise<ApiAnswer<Operations[Name]['output']>>;
  /** The items of all pages, in their order, as they are read. @throws as `call` */
  all<Name extends PagedName>(
    name: Name,
    input: Operations[Name]['input'],
    options?: Pick<ApiCallOptions, 'signal'>,
  ): AsyncGenerator<Operations[Name]['output']['items'][number]>;
  /** What happens, for as long as the server goes on and somebody reads. @throws as `call`, the first time that it is read from */
  follow<Name extends FollowName>(
    name: Name,
    input: Operations[Name]['input'],
    options?: ApiFollowOptions,
  ): AsyncGenerator<ApiEvent<Operations[Name]['event']>>;
}

/** Operations that answer a page. */
export type PagedName = {
  [Name in CallName]: Operations[Name]['output'] extends { readonly items: readonly unknown[] } ? Name : never;
}[CallName];

/** One request, ready to be sent. */
export interface ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON. */
  readonly body: string | undefined;
  readonly signal: AbortSignal | undefined;
}

/** The head of an answer, and its bytes as they come. */
export interface ApiReply {
  readonly status: number;
  /** Of that name, in lower case. */
  header(name: string): string | undefined;
  readonly body: AsyncIterable<Uint8Array>;
  /** Nothing more is read of it. */
  close(): void;
}

/** Sends a request; resolves once the head of the answer is there, and rejects where there is none. */
export type SendRequest = (request: ApiRequest) => Promise<ApiReply>;

/** Creates a client that sends its requests so. */
export function createClientOver(transport: SendRequest): ApiClient {
  const client: ApiClient = {
    async call(name, input, options = {}) {
      const { ifMatch, idempotencyKey, signal } = options;
      const answer = await send(transport, name, input, {
        headers: {
          ...(ifMatch === undefined ? {} : { 'if-match': `"${ifMatch}"` }),
          ...(idempotencyKey === undefined ? {} : { 'idempotency-key': `"${idempotencyKey}"` }),
        },
        signal,
      });
      const text = await textOf(answer);
      const etag = answer.header('etag');
      return {
        // The server checks what it answers against the schema that the type is made of.
        output: JSON.parse(text),
        tag: etag === undefined ? undefined : /^"(.*)"$/.exec(etag)?.[1],
        isRepeated: answer.header('idempotency-replayed') === 'true',
      };
    },
    async *all(name, input, options = {}) {
      let cursor: string | undefined;
      do {
        const asked = cursor === undefined ? input : { ...input, cursor };
        // Every paged operation takes a cursor, and answers items and perhaps where to go on.
        const { output } = await client.call(name, asked as typeof input, options);
        const { items, next } = output as { items: never[]; next?: string };
        yield* items;
        cursor = next;
      } while (cursor !== undefined);
    },
    async *follow(name, input, { signal, lastEventId, onOpen, onStanding } = {}) {
      const headers: Record<string, string> = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
      const answer = await send(transport, name, input, { headers, signal });
      try {
        onOpen?.();
        for await (const { id, data } of readEvents(answer.body)) {
          if (data === undefined) onStanding?.(id);
          else yield { id, event: JSON.parse(data) };
        }
      } finally {
        answer.close();
      }
    },
  };
  return client;
}

/** @throws ApiProblem; Error */
async function send(
  transport: SendRequest,
  name: keyof Operations,
  input: object,
  { headers, signal }: { headers: Readonly<Record<string, string>>; signal: AbortSignal | undefined },
): Promise<ApiReply> {
  const { method, path, inPath, inQuery, inBody } = operations[name];
  const given: Readonly<Record<string, unknown>> = { ...input };
  const filled = inPath.reduce(
    (text, field) => text.replace(`{${field}}`, encodeURIComponent(String(given[field]))),
    path,
  );
  const query = new URLSearchParams(
    inQuery.flatMap((field): [string, string][] => (given[field] === undefined ? [] : [[field, String(given[field])]])),
  ).toString();
  const fields = inBody.filter((field) => given[field] !== undefined).map((field) => [field, given[field]] as const);
  const answer = await transport({
    ...{ method, headers, signal },
    path: query === '' ? filled : `${filled}?${query}`,
    body: inBody.length === 0 ? undefined : JSON.stringify(Object.fromEntries(fields)),
  });
  if (answer.status === 200) return answer;
  throw new ApiProblem(answer.status, await textOf(answer), answer.header('retry-after'));
}

/** @throws Error when it is longer than any answer of a server */
async function textOf(answer: ApiReply): Promise<string> {
  const decoder = new TextDecoder();
  const texts: string[] = [];
  let bytes = 0;
  for await (const chunk of answer.body) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`the answer has more than ${ANSWER_BYTES_MAX} bytes`);
    texts.push(decoder.decode(chunk, { stream: true }));
  }
  return texts.join('') + decoder.decode();
}

/** A page of a thousand of the largest policies that there are in practice, many times over. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;
