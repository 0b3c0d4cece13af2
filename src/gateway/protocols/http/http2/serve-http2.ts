import { judgedBy } from '../../../../model/index.ts';
import type { GatewaySession } from '../../../sessions/session.ts';
import { malformedDenial } from '../session/exchange.ts';
import { encodeOwnAnswer, ledgerAnswer, type OwnAnswer } from '../session/refusals/own-answers.ts';
import type { OpenTarget } from '../target.ts';
import { type Arrival, Http2Connection } from './connection.ts';
import { isGrpcCall, methodOf, requestOf } from './request-head.ts';
import type { StreamExchange } from './stream-exchange.ts';

/** Carries the streams of one client that its connection has proven, until either side or the session's signal ends it. Owns the client. */
export async function serveHttp2(target: OpenTarget, session: GatewaySession): Promise<void> {
  const { signal, drain, client } = session;
  const owner = { target, session };
  const scheme = session.door === 'direct' ? 'https' : 'http';
  const connection: Http2Connection = new Http2Connection(target, client, {
    fields: { session: session.id },
    arrived(arrival) {
      const request = requestOf({ ...arrival, fieldsSent: arrival.client.fields, scheme });
      if ('status' in request) return refuse(connection, session, { arrival, answer: request });
      const wants = (exchange: StreamExchange) => connection.pool.wants(owner, exchange);
      connection.begin({ wants }, arrival, request);
    },
  });
  const served = connection.run();
  const onEnd = () => connection.end();
  const onDrain = () => connection.leave();
  signal.addEventListener('abort', onEnd, { once: true });
  drain.addEventListener('abort', onDrain, { once: true });
  if (signal.aborted) onEnd();
  else if (drain.aborted) onDrain();
  await served;
  signal.removeEventListener('abort', onEnd);
  drain.removeEventListener('abort', onDrain);
}

/** Of what is no request nothing is forwarded; that it came is recorded before it is said. */
function refuse(
  connection: Http2Connection,
  { gate, policy }: GatewaySession,
  { arrival, answer }: { arrival: Arrival; answer: OwnAnswer },
) {
  const { stream, rawHeaders } = arrival;
  const method = methodOf(rawHeaders);
  const isCall = isGrpcCall(rawHeaders);
  const bytesOf = (said: OwnAnswer) => encodeOwnAnswer(said, { isHead: method === 'HEAD', isGrpc: isCall });
  const say = (bytes: Buffer) => connection.answer(arrival, { bytes, method });
  const pipeline = gate.pipeline({
    forward() {},
    deliver: (pieces) => say(Buffer.concat(pieces)),
    resume() {},
    stop() {},
    fail: (_of, error) => say(bytesOf(ledgerAnswer(error))),
    guard: connection.guard,
  });
  stream.once('close', () => pipeline.close());
  stream.resume();
  const denied = pipeline.deny(malformedDenial(answer.status, judgedBy(policy.policySet, [])));
  pipeline.flush({
    pieces: [],
    recorded: () => pipeline.deliver([bytesOf(answer)], denied.after),
    refused(error) {
      say(bytesOf(ledgerAnswer(error)));
      return [];
    },
  });
}
