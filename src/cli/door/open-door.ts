import { once } from 'node:events';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { type Clock, codeOf } from '../../std/index.ts';
import { adoptOrphans } from './orphans.ts';
import { type Caller, createProveCallers, kernelSources, type ProveCallers } from './prove-callers.ts';
import { createTellRefusal, type TellRefusal } from './refusals.ts';
import { splice } from './splice.ts';

/** A door that is open. Whoever opened it closes it. */
export interface Door {
  readonly address: { readonly host: string; readonly port: number };
  /** From now on it lets in that child, and all that descend from it. Before, nobody. */
  serve(child: number): void;
  /** Lets nobody in any more; what is under way has a moment to end, and is cut then. */
  close(): Promise<void>;
}

/** Takes over a proven client, paused, that stays half open; calls `over` when nothing of it is open any more. */
export type Receive = (client: Socket, over: () => void) => void;

/**
 * Opens a port of 127.0.0.1, of the system's choice, whose connections are carried to the Unix socket `socket`, or received. Nothing of a connection is
 * read before its caller is proven. @throws Error of the system when there is no such address
 */
export async function openDoor(deps: {
  /** Where clients that are refused can go instead. */
  readonly socket: string;
  readonly receive?: Receive;
  readonly connectionsMax?: number;
  readonly clock: Clock;
  warn(line: string): void;
}): Promise<Door> {
  const { socket, clock, warn, receive, connectionsMax = CONNECTIONS_MAX } = deps;
  const orphans = adoptOrphans();
  let child: number | undefined;
  const tree = {
    self: process.pid,
    isTop: (pid: number) => child !== undefined && (orphans !== undefined || pid === child),
  };
  const hall = createHall({
    ...{ socket, receive, connectionsMax },
    tell: createTellRefusal({ clock, warn }),
    prove: createProveCallers(kernelSources(tree)),
  });
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, hall.enter);
  const port = await listen(server);
  let letGo = () => {};
  return {
    address: { host: HOST, port },
    serve(pid) {
      child = pid;
      letGo = orphans?.reapBeside(pid) ?? letGo;
    },
    async close() {
      child = undefined;
      letGo();
      server.close();
      const timer = clock.after(LINGER_MS, hall.cut);
      await hall.emptied();
      timer.cancel();
    },
  };
}

/** What lets connections in, and knows those that are. Exported for its tests. */
export function createHall(deps: {
  socket: string;
  tell: TellRefusal;
  prove: ProveCallers;
  connectionsMax?: number;
  receive?: Receive | undefined;
}) {
  const { socket, tell, prove, connectionsMax = CONNECTIONS_MAX } = deps;
  const inside = new Set<Socket>();
  let waiting: Socket[] = [];
  const emptied = Promise.withResolvers<void>();
  let isClosing = false;
  const leave = (client: Socket) => {
    inside.delete(client);
    if (isClosing && inside.size === 0) emptied.resolve();
  };
  /** As long as each turn of the event loop, which takes in one, brings another, they are looked at together: a burst costs no more than one. */
  const gather = (before: number) => {
    if (waiting.length > before) setImmediate(gather, waiting.length);
    else look();
  };
  const look = () => {
    const clients = waiting;
    waiting = [];
    const port = clients[0]?.localPort ?? 0;
    const origins = clients.map(({ remoteAddress = '', remotePort = 0 }) => ({
      host: remoteAddress,
      port: remotePort,
    }));
    const callers = prove(origins, port);
    for (const [index, client] of clients.entries()) {
      const caller = callers[index] ?? { kind: 'gone' };
      if (client.destroyed) leave(client);
      else if (caller.kind === 'own' && !isClosing) carry(client);
      else {
        if (!isClosing) tell(caller.kind, refusalOf(caller, { port, socket }));
        client.resetAndDestroy();
        leave(client);
      }
    }
  };
  const carry = (client: Socket) => {
    if (deps.receive !== undefined) return deps.receive(client, () => leave(client));
    let isConnected = false;
    const agent = createConnection({ path: socket, allowHalfOpen: true }, () => {
      isConnected = true;
    });
    agent.on('error', (error) => {
      if (!isConnected)
        tell('agent', `nobody answers at ${socket} (${codeOf(error)}); is an agent running on this machine?`);
    });
    splice(client, agent, () => leave(client));
  };
  return {
    enter(client: Socket) {
      client.on('error', () => {}); // It is gone, or broken: that is told by its end.
      if (inside.size >= connectionsMax) {
        tell(
          'busy',
          `${connectionsMax} connections are open at once, and no more are let in; close some, or keep them in a pool`,
        );
        client.resetAndDestroy();
        return;
      }
      inside.add(client);
      if (waiting.push(client) === 1) setImmediate(gather, 0);
    },
    /** Ends all that are inside, at once. */
    cut() {
      for (const client of inside) client.resetAndDestroy();
    },
    /** Resolves when nobody is inside; nobody new is let in. */
    emptied() {
      isClosing = true;
      if (inside.size === 0) emptied.resolve();
      return emptied.promise;
    },
  };
}

function refusalOf(caller: Caller, { port, socket }: { port: number; socket: string }): string {
  const refused = `refused a connection to ${HOST}:${port}`;
  switch (caller.kind) {
    case 'user':
      return `${refused} by another user (uid ${caller.uid}): it is for the command that it was opened for, run as this user; start the client with a "countersign run" of its own`;
    case 'unseen':
      return `${refused}, as it can not be told whose it is (${caller.problem}); give the client the socket ${socket}`;
    case 'gone':
      return `${refused}, as nobody had it open any more before it was told whose it is; a client keeps its connection until it has its answer`;
    case 'own':
    case 'stranger':
      return `${refused} by a process that the command did not start, or that can not be looked at; start the client with a "countersign run" of its own, or give it the socket ${socket}`;
    default:
      return caller satisfies never;
  }
}

async function listen(server: Server): Promise<number> {
  server.listen({ host: HOST, port: 0 });
  await once(server, 'listening'); // Or throws what the error was.
  server.on('error', () => {}); // Of single connections that could not be accepted.
  const address = server.address();
  return typeof address === 'object' ? (address?.port ?? 0) : 0;
}

const HOST = '127.0.0.1';
/** Each takes up to a quarter of a megabyte and two descriptors, and a place at the agent. */
const CONNECTIONS_MAX = 500;
/** What a program said last before it ended still comes to the agent. */
const LINGER_MS = 1_000;
