import { basename, dirname, join } from 'node:path';

/** The folder of what a worker of a gateway keeps for itself, its ledger and that one's keys: the first has that of a gateway alone. */
export function ownFolderOf(dataDir: string, number: number): string {
  return number === 1 ? dataDir : join(dataDir, WORKERS, String(number));
}

/** In a gateway's folder, those of its workers but the first. */
export const WORKERS = 'workers';

/** The number of the worker whose folder has that name there; undefined: it is something else. */
export function workerNamed(name: string): number | undefined {
  return /^([2-9]|[1-5]\d|6[0-4])$/.test(name) ? Number(name) : undefined;
}

/** The folder of the gateway, by that of a worker's ledger. */
export function gatewayFolderOf(ledger: string): string {
  const own = dirname(ledger);
  return basename(dirname(own)) === WORKERS ? dirname(dirname(own)) : own;
}
