import type { Socket } from 'node:net';
import {
  type Barred,
  barredText,
  formatSelector,
  type LocalProtocol,
  type LocalRefusal,
  type Selector,
  type TargetView,
} from '../../model/index.ts';
import { Code, RpcError } from '../../rpc/index.ts';
import { abortError, type Clock, followAbort, type Log, messageOf, timeoutSignal } from '../../std/index.ts';
import type { Caller, Callers } from '../callers.ts';
import type { Counters } from '../counters.ts';
import { AgentError } from '../errors.ts';
import { isWithoutIdentity, type Refusals } from '../refusals.ts';
import type { OpenWorks } from '../revoked/open-work.ts';
import type { Revoked } from '../revoked/revoked.ts';
import type { Identities } from '../workload-api/identities.ts';
import { carry } from './carry.ts';
import type { Links } from './link.ts';

/**
 * Serves one connection to a target's socket: who is it, its default identity, a link to a gateway under that identity, then bytes
 * both ways. A client that gets no session is told why in its own protocol.
 */
export async function serveTargetSession(
  socket: Socket,
  /** As it is now; its gateways may change while it is waited for one. */
  targetNow: () => TargetView,
  deps: {
    protocol: LocalProtocol;
    clock: Clock;
    log: Log;
    /** For lines that callers can cause. */
    refused: Log;
    /** Is told of processes without an identity. */
    refusals: Pick<Refusals, 'note'>;
    counters: Counters;
    callers: Callers;
    identities: Identities;
    links: Links;
    revoked: Pick<Revoked, 'entry'>;
    /** Why a caller without an identity has none, where it would have one. */
    barred: (caller: Caller) => Barred | undefined;
    open: Pick<OpenWorks, 'add'>;
    /** Ends sessions once they are answered, and admits no new one. */
    drain: AbortSignal;
    signal: AbortSignal;
  },
): Promise<void> {
  const { log, counters, protocol, drain } = deps;
  const target = targetNow();
  const gone = followAbort(deps.signal);
  socket.once('close', () => gone.abort());
  // Ends what is waited for before there is a session: that could take as long as any time limit of it.
  const making = followAbort(gone.signal, drain);
  let caller: Caller | undefined;
  let over = () => {};
  try {
    caller = deps.callers.accept(socket);
    const { link, entry } = await establish(caller, targetNow, { ...deps, signal: making.signal });
    if (making.signal.aborted) {
      link.destroy();
      throw abortError(making.signal);
    }
    over = deps.open.add({
      isRevoked: () => deps.revoked.entry(entry) || deps.links.isRevoked(link),
      end: () => link.destroy(),
    });
    counters.targetSessions++;
    log.debug('agent.target.session_opened', { target: target.name, pid: caller.pid });
    socket.once('data', (first: Buffer) => {
      const opening = protocol.speaksFirst === 'client' ? protocol.opening(first) : undefined;
      if (opening?.step === 'aside') deps.links.sayAside(link, first.subarray(0, opening.bytes));
    });
    await carry(socket, link, {
      signal: drain,
      session: protocol.follow(),
      words: () => protocol.refusal(STOPPING, 'session'),
      lost: () => protocol.refusal(LOST, 'session'),
    });
  } catch (error) {
    if (gone.signal.aborted) return;
    // Not heard out: a silent client would be told only when its time is over.
    if (drain.aborted) return await tell(socket, protocol, STOPPING);
    counters.targetRefusals++;
    deps.refused.info('agent.target.refused', { target: target.name, pid: caller?.pid, problem: messageOf(error) });
    const barred = caller !== undefined && isWithoutIdentity(error) ? deps.barred(caller) : undefined;
    if (caller !== undefined && barred === undefined && isWithoutIdentity(error))
      deps.refusals.note(caller, target.name);
    const refusal = barred === undefined ? refusalFor(error, target, caller) : refusalOf(barred);
    // Heard out, those over their share would stand in the socket's places for others.
    if (refusal.kind === 'busy') dismiss(socket, protocol, refusal);
    else await refuse(socket, protocol, { clock: deps.clock, refusal });
  } finally {
    over();
    caller?.close();
    gone.abort(); // And with it the other: both let go of the signals that all sessions share.
  }
}

async function establish(
  caller: Caller,
  target: () => TargetView,
  {
    identities,
    links,
    revoked,
    signal,
  }: { identities: Identities; links: Links; revoked: Pick<Revoked, 'entry'>; signal: AbortSignal },
) {
  const selectors = await caller.selectors(signal);
  const view = await identities.look(selectors, 'svids', signal);
  const [first] = view.identities;
  // The default identity, or none: falling back to another would let an SVID that is late decide who a session belongs to.
  if (!first || first.entry.id !== view.matched[0]?.id) {
    throw new RpcError(Code.UNAVAILABLE, 'the default identity has no valid SVID now');
  }
  const { pid, uid, gid, startTime } = caller;
  const link = await links.open({
    ...{ target, svid: first.svid, bundles: view.bundles, signal },
    caller: {
      entryId: first.entry.id,
      process: { pid, uid, gid, executable: caller.executable(), startTime },
      selectors: theirsFirst(first.entry.selectors, selectors),
      selectorsLeftOut: 0,
    },
  });
  try {
    caller.assertAlive();
    // Since it was looked for, which may be seconds ago.
    if (links.isRevoked(link))
      throw new AgentError('ERR_AGENT_GATEWAY', `target ${target().name}: its gateway is revoked`);
    if (revoked.entry(first.entry)) throw new RpcError(Code.PERMISSION_DENIED, 'no identity issued');
    return { link, entry: first.entry };
  } catch (error) {
    link.destroy();
    throw error;
  }
}

/** The selectors by which it has its identity before the others: only so many are told. */
function theirsFirst(matched: readonly Selector[], all: readonly Selector[]): string[] {
  return [...new Set([...matched, ...all].map(formatSelector))];
}

/** As a gateway says it. */
function refusalOf(barred: Barred): LocalRefusal {
  const { what, hint } = barredText(barred);
  return { kind: 'identity', message: `no identity issued: ${what}`, hint };
}

function refusalFor(error: unknown, target: TargetView, caller: Caller | undefined): LocalRefusal {
  const who = caller ? `process ${caller.pid} (uid ${caller.uid})` : 'this process';
  if (isWithoutIdentity(error)) {
    return {
      kind: 'identity',
      message: `no identity issued: ${who} matches no registration entry of this node`,
      hint: 'An operator registers it with "countersign entry create"; the entry names selectors of the process, such as its uid.',
    };
  }
  if (error instanceof AgentError && error.code === 'ERR_AGENT_BUSY') {
    return {
      kind: 'busy',
      message: `the agent has no room for more connections of ${who}`,
      hint: 'Use a smaller pool.',
    };
  }
  if (error instanceof AgentError && error.code === 'ERR_AGENT_GATEWAY') {
    return {
      kind: 'gateway',
      message: `no gateway took the session: ${error.message}`,
      hint: 'Connect again in a moment where a gateway is being started again; else check that one is running and that this identity may connect to it.',
    };
  }
  if (error instanceof AgentError) {
    return {
      kind: 'identity',
      message: `the agent could not tell what ${who} is`,
      hint: 'The log of the agent says which attestor failed.',
    };
  }
  return {
    kind: 'starting',
    message: `the agent has no valid identity for ${who} now: ${messageOf(error)}`,
    hint: `Try again shortly; target ${target.name} needs the agent to reach its server.`,
  };
}

/** Says why there is no session and hangs up, whatever the client was about to say. */
function dismiss(socket: Socket, protocol: LocalProtocol, refusal: LocalRefusal): void {
  // What the kernel does not take at once is lost: waiting for the client to read is what must not be.
  socket.write(protocol.refusal(refusal, 'opening'));
  socket.destroy();
}

/** Hears the client's opening out, where it speaks first, says why there is no session, and ends. */
async function refuse(
  socket: Socket,
  protocol: LocalProtocol,
  { clock, refusal }: { clock: Clock; refusal: LocalRefusal },
): Promise<void> {
  const limit = timeoutSignal(clock, OPENING_MS_MAX);
  const onLimit = () => socket.destroy();
  limit.signal.addEventListener('abort', onLimit, { once: true });
  try {
    if (protocol.speaksFirst === 'client') await hearOpening(socket, protocol);
    await tell(socket, protocol, refusal);
  } catch {
    // The client went away before it could be told; there is nobody left to tell.
  } finally {
    limit.cancel();
  }
}

async function hearOpening(socket: Socket, protocol: LocalProtocol): Promise<void> {
  let received: Buffer = Buffer.alloc(0);
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    received = Buffer.concat([received, chunk]);
    const step = answerOpening(socket, protocol, received);
    received = received.subarray(step.consumed);
    if (step.over || received.length > OPENING_BYTES_MAX) return;
  }
}

/** Says why there is no session, ends, and waits for the client's own end. */
async function tell(socket: Socket, protocol: LocalProtocol, refusal: LocalRefusal): Promise<void> {
  if (!socket.writable) return;
  await new Promise<void>((resolve) => {
    socket.once('close', resolve);
    socket.end(protocol.refusal(refusal, 'opening'));
    socket.resume(); // What the client still says is not read, but its end must be seen.
    socket.once('end', resolve);
  });
}

function answerOpening(socket: Socket, protocol: LocalProtocol, received: Buffer): { consumed: number; over: boolean } {
  let consumed = 0;
  for (;;) {
    const opening = protocol.opening(received.subarray(consumed));
    switch (opening.step) {
      case 'more':
        return { consumed, over: false };
      case 'decline':
        consumed += opening.bytes;
        socket.write(opening.answer);
        break;
      case 'ready':
        return { consumed, over: true };
      case 'aside':
        socket.destroy();
        return { consumed, over: true };
    }
  }
}

const STOPPING: LocalRefusal = {
  kind: 'stopping',
  message: 'the agent is shutting down; connect again',
  hint: 'Nothing of what was sent after the last answer has been carried out.',
};
const LOST: LocalRefusal = {
  kind: 'gateway',
  message: 'the gateway of this session is gone',
  hint: 'Whether what was sent after the last answer has been carried out is not known; a transaction that was open is rolled back. Connect again.',
};
const OPENING_MS_MAX = 10_000;
/** Longer than any opening; what comes beyond it is no client of the protocol. */
const OPENING_BYTES_MAX = 16 * 1024;
