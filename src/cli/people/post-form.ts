import { request } from 'node:https';
import { lookupOf } from '@countersign/sdk/client';
import type { TlsPlace } from '../connections/with-rest.ts';

/** What the pages of signing in answered to a command line, as JSON. */
export interface FormAnswer {
  readonly status: number;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Sends a form to a server that is verified by its name. `token` goes in a header. @throws when it was not reached, or answers no JSON */
export function postForm(
  { host, port, ca }: TlsPlace,
  asked: {
    readonly path: string;
    readonly form: Readonly<Record<string, string>>;
    readonly token?: string;
    readonly signal: AbortSignal;
  },
): Promise<FormAnswer> {
  const body = `${new URLSearchParams(asked.form)}`;
  const headers = {
    'content-type': 'application/x-www-form-urlencoded',
    'content-length': Buffer.byteLength(body),
    ...(asked.token === undefined ? {} : { authorization: `Bearer ${asked.token}` }),
  };
  const lookup = lookupOf(host);
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        ...{ host, port, path: asked.path, method: 'POST', headers, agent: false, minVersion: 'TLSv1.3' },
        ...(ca === undefined ? {} : { ca }),
        ...(lookup === undefined ? {} : { lookup }),
        signal: asked.signal,
      },
      async (answer) => {
        try {
          const chunks: Buffer[] = [];
          let bytes = 0;
          for await (const chunk of answer) {
            bytes += chunk.length;
            if (bytes > ANSWER_BYTES_MAX) throw new Error(`${host}:${port} answers more than this can be`);
            chunks.push(chunk);
          }
          const text = Buffer.concat(chunks).toString('utf8');
          const isJson = /json/.test(answer.headers['content-type'] ?? '');
          resolve({ status: answer.statusCode ?? 0, fields: isJson ? objectIn(text) : {} });
        } catch (error) {
          reject(error);
        }
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

/** @throws when it is no JSON; what is no object has no fields */
function objectIn(text: string): FormAnswer['fields'] {
  const given: unknown = JSON.parse(text);
  return typeof given === 'object' && given !== null ? { ...given } : {};
}

const ANSWER_BYTES_MAX = 65_536;
