import { type ApiClient, type ApiReply, createClientOver } from '../client/api-client.ts';

/**
 * Creates a client of the server that a page came from; the browser adds its cookie, and says which page asks. An answer that leads elsewhere is a
 * failure: no endpoint has one.
 *
 * ```ts
 * const api = createBrowserClient();
 * const { output } = await api.call('session.list', {});
 * ```
 */
export function createBrowserClient(deps: { readonly fetch?: typeof fetch } = {}): ApiClient {
  const ask = deps.fetch ?? ((...given: Parameters<typeof fetch>) => fetch(...given));
  return createClientOver(async ({ method, path, headers, body, signal }) => {
    const answer = await ask(path, {
      ...{ method, credentials: 'same-origin', redirect: 'error', cache: 'no-cache' },
      headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body }),
      ...(signal === undefined ? {} : { signal }),
    });
    return replyOf(answer);
  });
}

function replyOf(answer: Response): ApiReply {
  const reader = answer.body?.getReader();
  return {
    status: answer.status,
    header: (name) => answer.headers.get(name) ?? undefined,
    // Not every browser lets a stream be iterated.
    body: {
      async *[Symbol.asyncIterator]() {
        for (;;) {
          const piece = await reader?.read();
          if (piece === undefined || piece.done) return;
          yield piece.value;
        }
      },
    },
    close: () => void reader?.cancel().catch(() => {}), // It may have ended by itself.
  };
}
