import { JetStreamApiError, jetstream } from '@nats-io/jetstream';
import { connect, credsAuthenticator, headers, type NatsConnection, type TlsOptions } from '@nats-io/transport-node';
import { codeOf, messageOf, throwIfAborted } from '../../../std/index.ts';
import { secretAt, tlsOptions } from '../../outgoing/tls.ts';
import type { Sink, SinkAnswer, SinkDeps, SinkItem } from '../../sink.ts';

interface NatsConfig {
  readonly servers: readonly string[];
  readonly subject: string;
  readonly credentials?: string;
  readonly token?: string;
  readonly ca?: string;
  readonly certificate?: string;
  readonly key?: string;
}

/** Creates the sink. @throws RecordsError ERR_RECORDS_SINK for a file that is not there */
export function createNatsSink(config: NatsConfig, deps: SinkDeps): Sink {
  connectionOptions(config, deps);
  let connection: NatsConnection | undefined;
  const close = async () => {
    const before = connection;
    connection = undefined;
    await before?.close();
  };
  return {
    async send(items, { signal }) {
      throwIfAborted(signal);
      const end = () => void close().catch(() => {});
      signal.addEventListener('abort', end, { once: true });
      try {
        if (connection?.isClosed() !== false) connection = await connect(connectionOptions(config, deps));
        throwIfAborted(signal);
        const stream = jetstream(connection, { timeout: ACK_MS_MAX });
        // One after the other: of several under way a later one could be kept and an earlier one not.
        for (const item of items) {
          throwIfAborted(signal);
          await stream.publish(config.subject, item.json, { msgID: item.id, headers: headersOf(item) });
        }
        return { kind: 'taken' };
      } catch (error) {
        await close().catch(() => {}); // A new connection the next time; why is what counts.
        throwIfAborted(signal);
        return answerTo(error);
      } finally {
        signal.removeEventListener('abort', end);
      }
    },
    close,
  };
}

function headersOf({ event }: SinkItem) {
  const made = headers();
  made.set('Content-Type', 'application/json');
  made.set('Countersign-Kind', event.metadata.event_code.replace(/[^\x21-\x7e]/g, '_'));
  return made;
}

/** Read for each connection, so that what was renewed is used. It is made anew by whoever sends, not by the library: then the order is known. */
function connectionOptions(config: NatsConfig, deps: SinkDeps) {
  const { servers, credentials, token } = config;
  const isTls = servers.some((server) => server.startsWith('tls:'));
  const { ca, cert, key } = tlsOptions(config, deps);
  const text = (value: unknown) => (value === undefined ? undefined : `${value}`);
  const tls = Object.fromEntries(
    Object.entries({ ca: text(ca), cert: text(cert), key: text(key) }).filter(([, value]) => value !== undefined),
  ) as TlsOptions;
  return {
    servers: servers.map((server) => server.replace(/^(tls|nats):\/\//, '')),
    ...{ name: 'countersign', reconnect: false, timeout: CONNECT_MS_MAX, ignoreClusterUpdates: true },
    // With these, a server that offers no TLS is refused.
    ...(isTls ? { tls } : {}),
    ...(token === undefined ? {} : { token: secretAt(token, deps.readSecret) }),
    ...(credentials === undefined
      ? {}
      : { authenticator: credsAuthenticator(Buffer.from(secretAt(credentials, deps.readSecret))) }),
  };
}

/** Only what is about the message itself would be the same again. */
function answerTo(error: unknown): SinkAnswer {
  const text = messageOf(error);
  const isTooLong = /max_?payload|maximum message size/i.test(text);
  const isRefused = error instanceof JetStreamApiError && REFUSED_CODES.has(error.code);
  if (isTooLong || isRefused) return { kind: 'refused', reason: text };
  return { kind: 'away', reason: `NATS: ${text || codeOf(error) || 'no answer'}` };
}

const ACK_MS_MAX = 10_000;
const CONNECT_MS_MAX = 10_000;
/** Of the stream: 10054 message size exceeds the stream's maximum. */
const REFUSED_CODES: ReadonlySet<number> = new Set([10_054]);
