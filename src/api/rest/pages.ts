import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type Peer, sourceOf } from '../../rpc/index.ts';
import { followAbort, type Log, messageOf } from '../../std/index.ts';
import type { Admission } from './admission.ts';
import { RestError } from './errors.ts';
import { problemOf } from './problems.ts';
import type { HeaderOf } from './sign-in/browser.ts';
import { failurePage, pageHeaders } from './sign-in/html.ts';

/** What a request to a page brings. */
export interface PageRequest {
  readonly peer: Extract<Peer, { kind: 'tls' }>;
  readonly method: string;
  readonly header: HeaderOf;
  readonly query: URLSearchParams;
  readonly form: URLSearchParams;
  readonly signal: AbortSignal;
}

export interface PageAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body: string;
}

/** What somebody is answered who is nobody yet: for their browser, or, as JSON, for the command line. */
export interface PageRoute {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly as: 'page' | 'json';
  handle(request: PageRequest): Promise<PageAnswer>;
}

interface PagesContext {
  readonly log: Log;
  readonly admission: Pick<Admission, 'count'>;
  readonly pages: readonly PageRoute[];
  readonly peerOf: (request: FastifyRequest) => Peer | undefined;
  readonly headerOf: (request: FastifyRequest, name: string) => string | undefined;
}

/** Mounts them apart from endpoints: forms are read here alone, since any site's page may have a browser send one. */
export async function mountPages(app: FastifyInstance, context: PagesContext): Promise<void> {
  await app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string', bodyLimit: FORM_BYTES_MAX },
      async (_request: FastifyRequest, body: string) => new URLSearchParams(body),
    );
    for (const page of context.pages) mount(scope, page, context);
  });
}

function mount(scope: FastifyInstance, page: PageRoute, context: PagesContext): void {
  const fail = (error: unknown, request: FastifyRequest, reply: FastifyReply) => {
    const of = { log: context.log, endpoint: `${page.method} ${page.path}`, request: request.id };
    const problem = problemOf(error, of);
    const closes = request.raw.complete ? {} : { connection: 'close' };
    reply.code(problem.status).headers({ ...pageHeaders(), ...problem.headers, ...closes });
    if (page.as === 'page') return reply.type('text/html; charset=utf-8').send(failurePage(problem.body));
    return reply.type('application/problem+json').send(JSON.stringify(problem.body));
  };
  scope.route({
    method: page.method,
    url: page.path,
    errorHandler: (error, request, reply) => fail(error, request, reply),
    // Before a body is read.
    onRequest: async (request: FastifyRequest) => {
      context.admission.count(sourceOf(tlsPeer(context, request)));
    },
    handler: async (request: FastifyRequest, reply: FastifyReply) => {
      const following = followAbort();
      const close = () => following.abort();
      reply.raw.once('close', close);
      try {
        const answer = await page.handle({
          peer: tlsPeer(context, request),
          method: request.method,
          header: (name) => context.headerOf(request, name),
          query: new URLSearchParams(request.raw.url?.split('?').slice(1).join('?') ?? ''),
          form: request.body instanceof URLSearchParams ? request.body : new URLSearchParams(),
          signal: following.signal,
        });
        reply.code(answer.status).headers({ ...pageHeaders(), ...answer.headers });
        return reply.type(page.as === 'page' ? 'text/html; charset=utf-8' : 'application/json').send(answer.body);
      } catch (error) {
        // Nothing of what was sent is in it: codes and tokens are in queries and forms.
        context.log.info('api.sign_in.failed', { page: page.path, reason: messageOf(error) });
        throw error;
      } finally {
        reply.raw.off('close', close);
        following.release();
      }
    },
  });
}

/** @throws RestError ERR_REST_PATH */
function tlsPeer(context: PagesContext, request: FastifyRequest): PageRequest['peer'] {
  const peer = context.peerOf(request);
  if (peer?.kind === 'tls') return peer;
  throw new RestError('ERR_REST_PATH', 'people sign in over TLS; whoever may open this socket is an operator already');
}

const FORM_BYTES_MAX = 4096;
