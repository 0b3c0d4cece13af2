import { type Companions, GatewayError, type PassedWord, type Place, type ReachedQuota } from '../../gateway/index.ts';
import { assert } from '../../std/index.ts';
import type { Ask, Channel, Reply, SentWord, ToParent, ToWorker } from './messages.ts';

/**
 * The other workers, as one of them has them: what all may have together its parent counts. It is asked at the start of a session, and before
 * an operation that a `rate` limits; what no limit counts costs no question.
 */
export function createWorkerCompanions(channel: Channel<ToParent, ToWorker>): Companions {
  const waiting = new Map<number, (reply: Reply) => void>();
  let asked = 0;
  channel.hear((message) => {
    if (message.kind !== 'reply') return;
    waiting.get(message.id)?.(message.reply);
    waiting.delete(message.id);
  });
  /** Never settles when the parent is gone: then this process ends. */
  const ask = async (question: Ask): Promise<{ readonly id: number; readonly reply: Reply }> => {
    const id = ++asked;
    const { promise, resolve } = Promise.withResolvers<Reply>();
    waiting.set(id, resolve);
    channel.send({ kind: 'ask', id, ask: question });
    return { id, reply: await promise };
  };
  const placeOf = (id: number): Place => {
    let isLeft = false;
    return {
      leave() {
        if (!isLeft) channel.send({ kind: 'leave', id });
        isLeft = true;
      },
    };
  };
  const enter = async (question: Ask) => {
    const { id, reply } = await ask(question);
    return 'entered' in reply ? placeOf(id) : reply;
  };
  return {
    quotas: {
      take(who, all) {
        const taken = all.filter(({ quota }) => quota.unit === 'rate');
        return taken.length === 0 ? undefined : ask({ what: 'take', who, taken }).then(({ reply }) => reachedOf(reply));
      },
      enter(who, all) {
        const quotas = all.filter(({ unit }) => unit === 'sessions');
        if (quotas.length === 0) return { leave() {} };
        return enter({ what: 'enter', who, quotas }).then((place) => {
          if ('leave' in place) return place;
          const reached = reachedOf(place);
          assert(reached !== undefined, 'a session has its place or a limit that was reached');
          return reached;
        });
      },
    },
    async enter(identity) {
      const place = await enter({ what: 'session', identity });
      if ('leave' in place) return place;
      assert('refused' in place, 'a session has its place or is refused');
      return place.refused;
    },
    async takeDoor(door) {
      const place = await enter({ what: 'door', door });
      if ('leave' in place) return place;
      assert('shut' in place, 'a door is taken or can not be');
      const what = `can't listen on ${door.address} port ${door.port}: ${place.shut}`;
      throw new GatewayError('ERR_GATEWAY_LISTEN', what);
    },
    passOn: (word) => channel.send({ kind: 'word', word: sentWord(word) }),
  };
}

function reachedOf(reply: Reply): ReachedQuota | undefined {
  if ('taken' in reply) return undefined;
  assert('reached' in reply, 'a limit answers that it was taken from or reached');
  // What is undefined is not sent.
  return { ...reply.reached, retryMs: reply.reached.retryMs };
}

function sentWord({ bytes, ...about }: PassedWord): SentWord {
  return { ...about, bytes: bytes.toString('base64') };
}

/** The word that was sent so. */
export function wordFrom({ bytes, ...about }: SentWord): PassedWord {
  return { ...about, bytes: Buffer.from(bytes, 'base64') };
}
