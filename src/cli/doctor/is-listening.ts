import { takesConnection } from '../connections/takes-connection.ts';

/** Whether anything takes connections at that address of this machine. */
export function isListening({
  host,
  port,
  timeoutMs,
}: {
  host: string;
  port: number;
  timeoutMs: number;
}): Promise<boolean> {
  return takesConnection({ port, timeout: timeoutMs, ...(ANY.has(host) ? {} : { host }) });
}

/** What listens on all addresses is found at the machine's own. */
const ANY: ReadonlySet<string> = new Set(['', '0.0.0.0', '::']);
