import { connect } from 'node:net';

/** Whether anything takes connections at that address of this machine. Says nothing to it. */
export function isListening({
  host,
  port,
  timeoutMs,
}: {
  host: string;
  port: number;
  timeoutMs: number;
}): Promise<boolean> {
  return new Promise((resolve) => {
    const at = ANY.has(host) ? undefined : host;
    const socket = connect({ port, ...(at === undefined ? {} : { host: at }), timeout: timeoutMs });
    const end = (is: boolean) => {
      socket.destroy();
      resolve(is);
    };
    socket.once('connect', () => end(true));
    socket.on('error', () => end(false));
    socket.once('timeout', () => end(false));
  });
}

/** What listens on all addresses is found at the machine's own. */
const ANY: ReadonlySet<string> = new Set(['', '0.0.0.0', '::']);
