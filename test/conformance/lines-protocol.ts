/**
 * A protocol of another shape than SQL: the server speaks first, requests run side by side, answers come in any order. One line is one message:
 * of a client `NAME KIND`; of a target `NAME item` and `NAME end`; and `NAME refused` of whoever refuses. Its member can be made with one flaw, so that the family's
 * suite shows that it sees it.
 */
import { connect, createServer, type Socket } from 'node:net';
import { finished } from 'node:stream';
import type { GatewaySession, ProtocolPath, Target, TargetDeps } from '../../src/gateway/index.ts';
import type { Pipeline, Running } from '../../src/gateway/sessions/pipeline.ts';
import {
  type Decision,
  type EntityRef,
  judgedBy,
  type Limits,
  type LocalProtocol,
  type LocalSession,
  type ReachedLimit,
} from '../../src/model/index.ts';
import type { PolicySchemaFragment } from '../../src/policy/index.ts';
import type { FixtureTarget, ProtocolFixture, RequestKind, Told } from './protocol-bed.ts';

const onChannel = { resources: ['Channel'], context: {} };

/** What it adds to the policy language: its items have fields that nest, and are counted. */
export const linesPolicySchema: PolicySchemaFragment = {
  namespace: 'Lines',
  entityTypes: {
    Channel: {
      memberOf: [],
      attributes: {},
      fields: { within: [], paths: [['item', '**']], example: ['item', 'card'] },
    },
  },
  actions: {
    ...{ 'lines:connect': onChannel, 'lines:read': onChannel, 'lines:change': onChannel },
    ...{ 'lines:denied': onChannel, 'lines:flood': onChannel },
    'lines:many': { ...onChannel, limits: { items: 'items' } },
    'lines:bulky': { ...onChannel, limits: { bytesOut: 'bytesOut' } },
    'lines:heavy': { ...onChannel, limits: { bytesIn: 'bytesIn' } },
    'lines:slow': { ...onChannel, limits: { duration: 'duration' } },
    'lines:rated': { ...onChannel, limits: { rate: 'rate' } },
  },
  session: 'lines:connect',
};

/** What a member can do wrong. */
export type Flaw =
  | 'sends without an intent'
  | 'sends while the intent waits'
  | 'sends what the ledger refused'
  | 'answers past the pipeline'
  | 'answers when the intent is not on disk'
  | 'tells denials at once'
  | 'asks policy nothing'
  | 'asks once for all requests'
  | 'opens unasked'
  | 'shows all items'
  | 'shows all bytes'
  | 'takes any size'
  | 'stops nothing'
  | 'asks for no rate'
  | 'says done when it sends'
  | 'reports no end'
  | 'does not hear of its end'
  | 'does not hear of its drain'
  | 'drops what runs at its drain'
  | 'leaves when its target does, without a word'
  | 'reads without a limit'
  | 'writes to who does not read'
  | 'greets with its credential'
  | 'logs its credential'
  | 'forgets what was asked'
  | 'keeps to itself what was said'
  | 'counts nothing';

export function linesPath(flaw?: Flaw): ProtocolPath {
  return {
    door: undefined,
    openTarget: (config, deps) => openTarget(config as { port: number }, { ...deps, flaw }),
  };
}

function openTarget(
  { port }: { readonly port: number },
  deps: TargetDeps & { readonly flaw: Flaw | undefined },
): Target {
  return {
    listen: undefined,
    async serve(session) {
      session.client.on('error', () => {});
      const resource: EntityRef = { type: 'Lines::Channel', id: deps.name, attributes: {}, parents: [] };
      const connectQuestion = { action: 'lines:connect', resource, context: {} };
      if (deps.flaw !== 'opens unasked') {
        const opening = await session.gate.open({ connect: connectQuestion, detail: {} });
        if (!opening.ok) return void session.client.end('- refused\n');
      }
      const password = (await deps.secrets.resolve('env:PW', session.signal)).reveal().toString();
      const target = connect(port, '127.0.0.1');
      target.on('error', () => {});
      target.write(`${password}\n`);
      if (deps.flaw === 'greets with its credential') session.client.write(`${password}\n`);
      if (deps.flaw === 'logs its credential') deps.log.info('lines.login', { password });
      await new LinesSession(session, { target, flaw: deps.flaw, resource }).run();
    },
    refuse: (client, { what }) => void client.end(`- ${what}\n`),
    check: async () => undefined,
    close: async () => {},
  };
}

interface Request {
  readonly name: string;
  readonly pipeline: Pipeline;
  readonly running: Running | undefined;
  readonly limits: Limits;
  items: number;
  bytes: number;
  isOver: boolean;
}

class LinesSession {
  readonly #session: GatewaySession;
  readonly #target: Socket;
  readonly #flaw: Flaw | undefined;
  readonly #resource: EntityRef;
  readonly #requests = new Map<string, Request>();
  readonly #over = Promise.withResolvers<void>();
  readonly #asked = new Map<string, ReturnType<GatewaySession['policy']['decide']>>();
  #isOver = false;
  #fromClient = '';
  #fromTarget = '';

  constructor(
    session: GatewaySession,
    deps: { readonly target: Socket; readonly flaw: Flaw | undefined; readonly resource: EntityRef },
  ) {
    this.#session = session;
    this.#target = deps.target;
    this.#flaw = deps.flaw;
    this.#resource = deps.resource;
  }

  run(): Promise<void> {
    const { client, signal, drain } = this.#session;
    if (this.#flaw !== 'does not hear of its end')
      signal.addEventListener('abort', () => this.#end('- ended\n'), { once: true });
    drain.addEventListener('abort', () => this.#drained(), { once: true });
    client.on('data', (chunk: Buffer) => {
      this.#fromClient += chunk.toString('latin1');
      this.#read();
    });
    this.#target.on('data', (chunk: Buffer) => {
      this.#fromTarget += chunk.toString('latin1');
      const lines = this.#fromTarget.split('\n');
      this.#fromTarget = lines.pop() ?? '';
      for (const line of lines) this.#answer(line);
      if (client.writableLength > READ_MAX && this.#flaw !== 'writes to who does not read') this.#target.pause();
    });
    client.on('drain', () => this.#target.resume());
    client.on('end', () => this.#end('')).on('close', () => this.#end(''));
    finished(this.#target, () =>
      this.#end(this.#flaw === 'leaves when its target does, without a word' ? '' : '- target lost\n'),
    );
    this.#read();
    if (signal.aborted) this.#end('- ended\n');
    return this.#over.promise;
  }

  /** Takes up as many requests as may run at once; the rest waits at the client. */
  #read() {
    const isBounded = this.#flaw !== 'reads without a limit';
    while (!this.#isOver && !(isBounded && this.#requests.size >= REQUESTS_MAX)) {
      const at = this.#fromClient.indexOf('\n');
      if (at < 0) break;
      const line = this.#fromClient.slice(0, at + 1);
      this.#fromClient = this.#fromClient.slice(at + 1);
      this.#request(line);
    }
    this.#session.memory.hold(this.#fromClient.length + this.#requests.size * REQUEST_BYTES);
    if (this.#fromClient.length > READ_MAX && isBounded) this.#session.client.pause();
    else this.#session.client.resume();
  }

  #request(text: string) {
    const [name = '', kind = ''] = text.trim().split(' ');
    const { gate, client, policy } = this.#session;
    const pipeline: Pipeline = gate.pipeline({
      forward: (pieces) => void this.#target.write(Buffer.concat(pieces)),
      deliver: (pieces) => {
        client.write(Buffer.concat(pieces));
        const request = this.#requests.get(name);
        if (request?.isOver === true) this.#done(request);
      },
      resume() {},
      stop: (_, limit) => {
        if (this.#flaw !== 'stops nothing') this.#tooMuch(name, limit);
      },
      fail: () => this.#end('- ledger lost\n'),
      guard: (act) => act(),
    });
    const line = [Buffer.from(text)];
    const decision = this.#decide(kind);
    const question = { action: `lines:${kind}`, resource: this.#resource, context: {} };
    const isSilent = this.#flaw === 'keeps to itself what was said';
    const content = isSilent ? undefined : { text: text.trim(), values: [], formats: [] };
    const isForgetful = this.#flaw === 'forgets what was asked';
    const asked = isForgetful ? [] : [{ question, decision }];
    const judged = judgedBy(policy.policySet, asked);
    const unlimited = this.#flaw === 'asks for no rate' ? { ...judged, quotas: [] } : judged;
    const request = { name, pipeline, limits: judged.limits, items: 0, bytes: 0 };
    const refusal = refusalBy(decision) ?? this.#overLimit(text, judged.limits);
    const over = refusal ?? refusalOver(pipeline.admit([{ judged: unlimited, times: 1 }]));
    if (over !== undefined) {
      this.#requests.set(name, { ...request, running: undefined, isOver: true });
      const refused = [Buffer.from(`${name} refused\n`)];
      const denied = pipeline.deny({
        ...{ action: `lines:${kind}`, judged, code: undefined, ...over },
        ...{ shape: kind, content, detail: {} },
      });
      if (this.#flaw === 'tells denials at once') client.write(refused[0] ?? '');
      pipeline.flush({
        pieces: [],
        recorded: () => pipeline.deliver(refused, denied.after),
        refused: () => this.#unrecorded(pipeline, refused),
      });
      return;
    }
    if (this.#flaw === 'sends without an intent') {
      this.#requests.set(name, { ...request, running: undefined, isOver: false });
      pipeline.flush({ pieces: line });
      return;
    }
    const running = pipeline.begin({
      ...{ action: `lines:${kind}`, changes: kind === 'change', judged: unlimited },
      ...{ shape: kind, content, detail: { name } },
    });
    this.#requests.set(name, { ...request, running, isOver: false });
    if (this.#flaw === 'says done when it sends') pipeline.end(running, { status: 'done', items: 0 });
    const early = this.#flaw === 'sends while the intent waits';
    if (early) this.#target.write(line[0] ?? '');
    pipeline.flush({
      pieces: early ? [] : line,
      refused: () =>
        this.#flaw === 'sends what the ledger refused'
          ? line
          : this.#unrecorded(pipeline, [Buffer.from(`${name} refused\n`)]),
    });
  }

  /** Answers by itself: nothing is for the target. */
  #unrecorded(pipeline: Pipeline, refused: Buffer[]): Buffer[] {
    const [name = ''] = String(refused[0]).split(' ');
    const request = this.#requests.get(name);
    if (request !== undefined) request.isOver = true;
    pipeline.deliver(refused, -1);
    return [];
  }

  #decide(kind: string) {
    const { policy } = this.#session;
    const action = `lines:${kind}`;
    if (this.#flaw === 'asks policy nothing') return policy.decide('lines:read', this.#resource, {});
    if (this.#flaw !== 'asks once for all requests') return policy.decide(action, this.#resource, {});
    const known = this.#asked.get('') ?? policy.decide('lines:read', this.#resource, {});
    this.#asked.set('', known);
    return known;
  }

  #answer(line: string) {
    if (line === 'hello') return void this.#session.client.write('hello\n');
    const [name = '', what = ''] = line.split(' ');
    const request = this.#requests.get(name);
    if (request === undefined || request.isOver) return;
    const { pipeline, running } = request;
    const isEnd = what === 'end';
    const text = Buffer.from(`${line}\n`);
    if (!isEnd) {
      request.items++;
      request.bytes += text.length;
      const limit = this.#reached(request);
      if (limit !== undefined) return this.#tooMuch(name, limit);
    } else {
      request.isOver = true;
      if (running !== undefined && this.#flaw !== 'reports no end')
        pipeline.end(running, { status: 'done', items: this.#flaw === 'counts nothing' ? 0 : request.items });
    }
    if (this.#flaw === 'answers past the pipeline') {
      pipeline.deliver([], -1);
      this.#session.client.write(text);
      if (request.isOver) this.#done(request);
      return;
    }
    pipeline.deliver([text], this.#flaw === 'answers when the intent is not on disk' ? -1 : (running?.after ?? -1));
  }

  /** The limit that the item at hand is beyond. */
  #reached({ limits, items, bytes }: Request): ReachedLimit | undefined {
    if (limits.items !== undefined && items > limits.items && this.#flaw !== 'shows all items')
      return { unit: 'items', most: limits.items };
    if (limits.bytesOut !== undefined && bytes > limits.bytesOut && this.#flaw !== 'shows all bytes')
      return { unit: 'bytesOut', most: limits.bytesOut };
    return undefined;
  }

  #overLimit(text: string, { bytesIn }: Limits): Refused | undefined {
    if (bytesIn === undefined || text.length <= bytesIn || this.#flaw === 'takes any size') return undefined;
    return { reason: 'over-limit', policies: [], limit: { unit: 'bytesIn', most: bytesIn } };
  }

  /** A refusal in place of the rest; what the target says of it later is for nobody. */
  #tooMuch(name: string, limit: ReachedLimit) {
    const request = this.#requests.get(name);
    if (request?.running === undefined || request.isOver) return;
    const { pipeline, running } = request;
    request.isOver = true;
    pipeline.end(running, { status: 'over-limit', items: this.#flaw === 'counts nothing' ? 0 : request.items, limit });
    pipeline.deliver([Buffer.from(`${name} refused\n`)], running.after);
  }

  #done(request: Request) {
    this.#requests.delete(request.name);
    if (this.#flaw !== 'reports no end' && this.#flaw !== 'answers past the pipeline') request.pipeline.close();
    this.#drained();
    this.#read();
  }

  #drained() {
    if (!this.#session.drain.aborted || this.#flaw === 'does not hear of its drain') return;
    if (this.#requests.size === 0 || this.#flaw === 'drops what runs at its drain') this.#end('- drained\n');
  }

  #end(word: string) {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const { pipeline } of this.#requests.values()) pipeline.close();
    this.#session.client.end(word);
    this.#target.destroy();
    this.#over.resolve();
  }
}

interface Refused {
  readonly reason: string;
  readonly policies: readonly string[];
  readonly limit?: ReachedLimit;
}

function refusalBy(decision: Decision): Refused | undefined {
  return decision.allow ? undefined : { reason: decision.reason, policies: decision.policies };
}

function refusalOver(reached: ReturnType<Pipeline['admit']>): Refused | undefined {
  if (reached instanceof Promise) throw new Error('this protocol is for gateways that count by themselves');
  return reached && { reason: 'over-limit', policies: [reached.policy], limit: reached };
}

/** Its server speaks first, so an agent has no opening to hear. */
export const linesLocal: LocalProtocol = {
  id: 'lines',
  socketFile: 'lines.sock',
  speaksFirst: 'server',
  opening: () => ({ step: 'ready' }),
  refusal: ({ message }) => Buffer.from(`- ${message}\n`),
  follow: followLines,
};

function followLines(): LocalSession {
  const rest = { client: '', gateway: '' };
  let isGreeted = false;
  let running = 0;
  return {
    saw(from, bytes) {
      const lines = (rest[from] + bytes.toString('latin1')).split('\n');
      // The longest word that is looked for, and some.
      rest[from] = (lines.pop() ?? '').slice(-16);
      if (from === 'client') running += lines.length;
      for (const line of from === 'gateway' ? lines : []) {
        if (line === 'hello') isGreeted = true;
        else if (/ (?:end|refused)$/.test(line)) running--;
      }
    },
    place() {
      if (!isGreeted || rest.gateway !== '') return 'amid';
      return running === 0 && rest.client === '' ? 'rest' : 'between';
    },
  };
}

export const linesFixture: ProtocolFixture = {
  config: (port) => ({ port }),
  hello: Buffer.alloc(0),
  kindOf: (action) => action.slice('lines:'.length),
  request: (kind: RequestKind, name: string) =>
    Buffer.from(`${name} ${kind}${kind === 'heavy' ? ` ${'x'.repeat(20_000)}` : ''}\n`),
  createReader() {
    let text = '';
    return (chunk) => {
      const lines = (text + chunk.toString('latin1')).split('\n');
      text = lines.pop() ?? '';
      return lines.map(toldBy);
    };
  },
  startTarget: (heard, password) => startTarget(heard, password),
};

function toldBy(line: string): Told {
  if (line === 'hello') return 'hello';
  if (line.startsWith('- ')) return 'end';
  return line.endsWith(' refused') ? 'refusal' : line.endsWith(' end') ? 'answer' : 'item';
}

async function startTarget(heard: (name: string) => void, password: string): Promise<FixtureTarget> {
  const sockets = new Set<Socket>();
  let held: (() => void)[] | undefined;
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    let isIn = false;
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) {
        if (!isIn) {
          if (line !== password) return void socket.destroy();
          isIn = true;
          socket.write('hello\n');
          continue;
        }
        const [name = '', kind] = line.split(' ');
        heard(name);
        const items =
          kind === 'flood'
            ? `${name} item ${FLOOD}\n`.repeat(50_000)
            : kind === 'bulky'
              ? `${name} item ${FLOOD}\n`.repeat(20)
              : `${name} item\n`.repeat(kind === 'many' ? 5 : 1);
        if (kind === 'slow') continue;
        const answer = () => void socket.write(`${items}${name} end\n`);
        if (held === undefined) answer();
        else held.push(answer);
      }
    });
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
        for (const answer of waiting.toReversed()) answer();
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

const FLOOD = 'x'.repeat(1_000);
const REQUESTS_MAX = 100;
const REQUEST_BYTES = 500;
const READ_MAX = 64 * 1024;
