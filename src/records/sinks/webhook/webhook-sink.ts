import { sha256 } from '../../../std/index.ts';
import { answerOf, createPoster } from '../../outgoing/post.ts';
import { secretAt, tlsOptions } from '../../outgoing/tls.ts';
import type { Sink, SinkDeps, SinkItem } from '../../sink.ts';
import { parseSecrets, signatures } from './signature.ts';

interface WebhookConfig {
  readonly url: string;
  readonly secret: string;
  readonly authorization?: string;
  readonly ca?: string;
  readonly certificate?: string;
  readonly key?: string;
}

/** Creates the sink. @throws RecordsError ERR_RECORDS_SINK for a secret that is none, or a file that is not there */
export function createWebhookSink(config: WebhookConfig, deps: SinkDeps): Sink {
  const { clock, readSecret } = deps;
  const secrets = () => parseSecrets(secretAt(config.secret, readSecret));
  const tls = () => tlsOptions(config, deps);
  secrets();
  tls();
  const poster = createPoster(config.url, deps);
  return {
    async send(items, { signal }) {
      const body = bodyOf(items);
      const id = messageId(items);
      // By the clock as it is at each try: the other side refuses what is old.
      const timestamp = `${Math.floor(clock.now() / 1000)}`;
      const headers = {
        ...{ 'content-type': 'application/json', 'user-agent': 'Countersign' },
        ...{ 'webhook-id': id, 'webhook-timestamp': timestamp, 'idempotency-key': id },
        'webhook-signature': signatures(secrets(), { id, timestamp, body }),
        ...(config.authorization === undefined ? {} : { authorization: secretAt(config.authorization, readSecret) }),
      };
      return answerOf(await poster.post({ headers, body, tls, signal }));
    },
    async close() {
      poster.close();
    },
  };
}

/** The same for the same entries, whoever sends them and when. */
function bodyOf(items: readonly SinkItem[]): Buffer {
  const timeMs = items.at(-1)?.event.time ?? 0;
  const head = `{"type":"countersign.record","timestamp":"${new Date(timeMs).toISOString()}","data":[`;
  return Buffer.from(`${head}${items.map(({ json }) => json).join(',')}]}`);
}

function messageId(items: readonly SinkItem[]): string {
  const digest = sha256(Buffer.from(items.map(({ id }) => id).join('\n')));
  return `msg_${digest.toString('hex').slice(0, ID_DIGITS)}`;
}

const ID_DIGITS = 32;
