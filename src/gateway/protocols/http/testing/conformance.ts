import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type {
  FixtureTarget,
  ProtocolFixture,
  RequestKind,
  Told,
} from '../../../../../test/conformance/protocol-bed.ts';
import { createResponseReader } from '../../../../wire/http1/index.ts';
import { createHttp2Client, helloOfHttp2 } from './http2-client.ts';
import { admitByToken, withToken } from './token-client.ts';

const KINDS = ['read', 'change', 'denied', 'many', 'bulky', 'heavy', 'slow', 'rated', 'flood'] as const;

/** What the conformance suite of protocols needs to know of this one. Its targets are Node's own HTTP server. */
export const conformance: ProtocolFixture = {
  config: (port: number) => ({
    url: `http://127.0.0.1:${port}`,
    credential: { bearer: 'env:PW' },
    routes: KINDS.map((kind) => ({ name: kind, methods: [METHODS[kind]], path: `/${kind}/{name}` })),
  }),
  hello: Buffer.from('OPTIONS * HTTP/1.1\r\nhost: target\r\n\r\n'),
  kindOf: (_action, id) => id.split('/').at(-1),
  request(kind, name) {
    const body = kind === 'heavy' ? 'x'.repeat(20_000) : '';
    const length = METHODS[kind] === 'GET' ? '' : `content-length: ${body.length}\r\n`;
    return Buffer.from(`${METHODS[kind]} /${kind}/${name} HTTP/1.1\r\nhost: target\r\n${length}\r\n${body}`);
  },
  createReader,
  startTarget,
};

export const others: Readonly<Record<string, ProtocolFixture>> = {
  ' over HTTP/2': {
    ...conformance,
    hello: helloOfHttp2,
    createClient: (say) => createHttp2Client(say, METHODS),
    skipped: {
      'back-pressure': 'more than a hundred streams at once are a flood, which ends: http2/hostile-client.test.ts',
    },
  },
  ' with tokens': {
    ...conformance,
    config: (port) => ({ ...Object(conformance.config(port)), listen: { port: 0, tokens: true } }),
    hello: withToken(conformance.hello),
    request: (kind, name) => withToken(conformance.request(kind, name)),
    admit: admitByToken,
  },
};

const METHODS: Readonly<Record<RequestKind, string>> = {
  ...{ read: 'GET', change: 'POST', denied: 'DELETE', many: 'GET', bulky: 'GET', heavy: 'POST' },
  ...{ slow: 'GET', rated: 'PUT', flood: 'GET' },
};

function createReader(): (chunk: Buffer) => readonly Told[] {
  const reader = createResponseReader();
  let status = 0;
  let isLast = false;
  let isAsked = false;
  return (chunk) => {
    const told: Told[] = [];
    reader.push(chunk);
    for (;;) {
      // Each answer is to a request that was sent, none of them a HEAD.
      if (!isAsked) reader.expect('GET');
      isAsked = true;
      const event = reader.next();
      if (event === undefined) return told;
      if (event.kind === 'head') {
        status = event.head.status;
        isLast = !event.head.keepAlive;
      } else if (event.kind === 'data' && status < 400) told.push('item');
      else if (event.kind === 'end') {
        isAsked = false;
        told.push(status === 204 ? 'hello' : status < 400 ? 'answer' : isLast && status !== 502 ? 'end' : 'refusal');
      }
    }
  };
}

async function startTarget(heard: (name: string) => void, password: string): Promise<FixtureTarget> {
  const sockets = new Set<Socket>();
  let held: (() => void)[] | undefined;
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    request.resume();
    if (request.headers.authorization !== `Bearer ${password}`) return void response.writeHead(401).end();
    if (request.url === '*') return void response.writeHead(204).end(); // Whether it is there.
    const [, kind = '', name = ''] = (request.url ?? '').split('/');
    heard(name);
    if (kind === 'slow') return;
    const answer = () => answerTo(kind, response);
    if (held === undefined) answer();
    else held.push(answer);
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    hold() {
      const waiting: (() => void)[] = [];
      held = waiting;
      return () => {
        held = undefined;
        for (const answer of waiting) answer();
      };
    },
    lose() {
      for (const socket of sockets) socket.destroy();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function answerTo(kind: string, response: ServerResponse): void {
  if (kind === 'many') return void response.setHeader('content-type', 'application/json').end('[1,2,3,4,5]');
  if (kind === 'bulky') return void response.end('x'.repeat(20_000));
  if (kind !== 'flood') return void response.end('fine');
  let left = 50_000;
  const more = () => {
    while (left-- > 0) if (!response.write(FLOOD)) return void response.once('drain', more);
    response.end();
  };
  more();
}

const FLOOD = 'x'.repeat(1_000);
