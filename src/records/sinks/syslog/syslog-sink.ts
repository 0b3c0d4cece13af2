import { isIP } from 'node:net';
import * as tls from 'node:tls';
import { abortError, throwIfAborted } from '../../../std/index.ts';
import { tlsOptions } from '../../outgoing/tls.ts';
import type { Sink, SinkDeps } from '../../sink.ts';
import { formatMessage } from './message.ts';

interface SyslogConfig {
  readonly address: string;
  readonly facility: number;
  readonly enterprise: number;
  readonly ca?: string;
  readonly certificate?: string;
  readonly key?: string;
}

/** Creates the sink. @throws RecordsError ERR_RECORDS_SINK for a file that is not there */
export function createSyslogSink(config: SyslogConfig, deps: SinkDeps): Sink {
  const colon = config.address.lastIndexOf(':');
  const host = config.address.slice(0, colon).replace(/^\[|\]$/g, '');
  const to = { host, port: Number(config.address.slice(colon + 1)), ...(isIP(host) === 0 ? { servername: host } : {}) };
  tlsOptions(config, deps);
  return {
    async send(items, { signal }) {
      throwIfAborted(signal);
      const bytes = Buffer.concat(items.map((item) => framed(formatMessage(item, config))));
      await deliver({ ...to, ...tlsOptions(config, deps) }, bytes, signal);
      return { kind: 'taken' };
    },
    async close() {},
  };
}

/** Its length in octets, a space, the message. @see RFC 5425 §4.3 */
function framed(message: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${message.length} `), message]);
}

/**
 * Nothing answers a syslog message, and what the kernel has taken may be lost with the connection. But whoever is told of the end (close_notify) after
 * the last message answers it by its own, so each batch has a connection of its own, and its end is waited for. @see RFC 5425 §4.4
 */
function deliver(options: tls.ConnectionOptions, bytes: Buffer, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect(options);
    let isSent = false;
    let problem: Error | undefined;
    const abort = () => socket.destroy(abortError(signal));
    signal.addEventListener('abort', abort, { once: true });
    socket.once('secureConnect', () => {
      socket.end(bytes, () => {
        isSent = true;
      });
    });
    socket.on('error', (error) => {
      problem ??= error;
    });
    // What it says is nothing to us; read, so that its end is seen.
    socket.resume();
    socket.once('close', () => {
      signal.removeEventListener('abort', abort);
      if (isSent && problem === undefined) return resolve();
      reject(problem ?? new Error('the other side ended the connection before it had read all'));
    });
  });
}
