import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type Peer, sourceOf } from '../../../rpc/index.ts';
import type { Log } from '../../../std/index.ts';
import type { Admission } from '../admission.ts';
import { RestError } from '../errors.ts';
import { html, pageHeaders, pageOf } from '../sign-in/html.ts';
import { type ConsoleFile, type ConsoleFiles, readConsoleFiles } from './console-files.ts';

/** What serving the console stands on. */
export interface ConsoleContext {
  readonly log: Log;
  readonly admission: Pick<Admission, 'count'>;
  /** Where it was built; undefined: this server has none. */
  readonly consoleFolder: string | undefined;
  readonly peerOf: (request: FastifyRequest) => Peer | undefined;
}

/** Where people begin. */
export const CONSOLE_HOME = '/console/';

/**
 * Serves the console's files to browsers. They are the same for everybody and say nothing of this server, so nobody has to be signed in for them: a
 * strict cookie would not come along with a link from elsewhere. What they show is asked for by the API, as whoever has signed in.
 */
export function mountConsole(app: FastifyInstance, context: ConsoleContext): void {
  let built: ConsoleFiles | undefined;
  const files = async (): Promise<ConsoleFiles | undefined> => {
    // What is not built may be built while the server runs.
    if (built === undefined && context.consoleFolder !== undefined) {
      built = await readConsoleFiles(context.consoleFolder);
      if (built !== undefined) context.log.info('api.console.loaded', { files: built.size });
    }
    return built;
  };
  const onRequest = async (request: FastifyRequest) => {
    const peer = context.peerOf(request);
    if (peer?.kind !== 'tls')
      throw new RestError('ERR_REST_PATH', 'the console is served over TLS; this socket is for commands');
    context.admission.count(sourceOf(peer));
  };
  for (const url of ['/', '/console'])
    app.get(url, { onRequest }, async (_request, reply) =>
      reply
        .code(303)
        .headers({ ...pageHeaders(), location: CONSOLE_HOME })
        .send(),
    );
  app.get('/console/*', { onRequest }, async (request: FastifyRequest, reply: FastifyReply) => {
    const found = await files();
    if (found === undefined) return notBuilt(reply);
    const path = (request.raw.url ?? '').split('?')[0]?.slice(CONSOLE_HOME.length) ?? '';
    // All places of the console are one page, which reads from its address what to show; files are never such places.
    const name = path.startsWith('assets/') ? path : 'index.html';
    const file = found.get(name);
    if (file === undefined) throw new RestError('ERR_REST_PATH', 'the console has no such file; load its page anew');
    return send(reply, { file, isPage: name === 'index.html', takesGzip: takesGzip(request) });
  });
}

function send(
  reply: FastifyReply,
  { file, isPage, takesGzip }: { file: ConsoleFile; isPage: boolean; takesGzip: boolean },
): FastifyReply {
  const packed = takesGzip ? file.gzip : undefined;
  return reply
    .headers({
      ...(isPage ? PAGE_HEADERS : FILE_HEADERS),
      ...(packed === undefined ? {} : { 'content-encoding': 'gzip' }),
      vary: 'accept-encoding',
    })
    .type(file.type)
    .send(packed ?? file.bytes);
}

function notBuilt(reply: FastifyReply): FastifyReply {
  const body = html`<p>This server has no console yet. In the folder of its checkout, <code>npm run build</code> makes it; then load this page anew. The package has it built.</p><p>Commands do all that it does: <code>countersign --help</code>. <a href="/sign-in">Who is signed in</a></p>`;
  return reply
    .code(404)
    .headers(pageHeaders())
    .type('text/html; charset=utf-8')
    .send(pageOf('The console is not built', body));
}

/** `gzip;q=0` says that it is not taken. @see RFC 9110 §12.5.3 */
function takesGzip({ headers }: FastifyRequest): boolean {
  const said = [headers['accept-encoding'] ?? ''].flat().join(',');
  return said.split(',').some((one) => /^\s*gzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*$)[\d.]+\s*)?$/i.test(one));
}

const COMMON_HEADERS = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
} as const;
/**
 * No script and no style but the files of this server, no markup made of texts (trusted types), nothing framed, nothing sent elsewhere: a text of a
 * workload that were taken for markup could do nothing.
 */
const PAGE_HEADERS = {
  ...COMMON_HEADERS,
  'cache-control': 'no-cache',
  'cross-origin-opener-policy': 'same-origin',
  'x-frame-options': 'DENY',
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
} as const;
/** Their names change with what is in them. */
const FILE_HEADERS = { ...COMMON_HEADERS, 'cache-control': 'public, max-age=31536000, immutable' } as const;
