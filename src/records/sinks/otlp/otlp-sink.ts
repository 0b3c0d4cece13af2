import { answerOf, createPoster, type PostAnswer } from '../../outgoing/post.ts';
import { secretAt, tlsOptions } from '../../outgoing/tls.ts';
import type { Sink, SinkAnswer, SinkDeps } from '../../sink.ts';
import { logsRequest } from './log-records.ts';

interface OtlpConfig {
  readonly url: string;
  readonly authorization?: string;
  readonly ca?: string;
  readonly certificate?: string;
  readonly key?: string;
}

/** Creates the sink. @throws RecordsError ERR_RECORDS_SINK for a file that is not there */
export function createOtlpSink(config: OtlpConfig, deps: SinkDeps): Sink {
  const tls = () => tlsOptions(config, deps);
  tls();
  const poster = createPoster(config.url, deps);
  return {
    async send(items, { signal }) {
      const body = Buffer.from(JSON.stringify(logsRequest(items, deps.clock.now())));
      const headers = {
        ...{ 'content-type': 'application/json', 'user-agent': 'Countersign' },
        ...(config.authorization === undefined
          ? {}
          : { authorization: secretAt(config.authorization, deps.readSecret) }),
      };
      const answer = await poster.post({ headers, body, tls, signal });
      return partial(answer) ?? answerOf(answer);
    },
    async close() {
      poster.close();
    },
  };
}

/** A success that is none for some records; which ones is not said. @see OTLP 1.5, Partial Success */
function partial({ status, body }: PostAnswer): SinkAnswer | undefined {
  if (status !== 200 || !body.startsWith('{')) return undefined;
  try {
    const { partialSuccess }: { partialSuccess?: { rejectedLogRecords?: unknown; errorMessage?: unknown } } =
      JSON.parse(body);
    const rejected = Number(partialSuccess?.rejectedLogRecords ?? 0);
    if (!(rejected > 0)) return undefined;
    return { kind: 'refused', reason: `${rejected} rejected: ${String(partialSuccess?.errorMessage ?? '')}` };
  } catch {
    return undefined; // What says nothing of rejected records rejects none.
  }
}
