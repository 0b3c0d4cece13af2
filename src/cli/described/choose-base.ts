import type { ApiDocument, ApiServer } from '../../api-documents/index.ts';
import { UsageError } from '../command.ts';

/**
 * The path that a document's paths are below: that of the server that is `asked` for, by its number from 1 or its URL; else that of the servers at the
 * target's own `urls`; else the only one that there is. @throws UsageError when it has to be asked for
 */
export function chooseBase(
  { servers }: Pick<ApiDocument, 'servers'>,
  { asked, urls }: { readonly asked: string | undefined; readonly urls: readonly string[] },
): string {
  if (asked !== undefined) {
    const found = /^\d{1,4}$/.test(asked) ? servers[Number(asked) - 1] : servers.find(({ url }) => url === asked);
    if (found !== undefined) return found.base;
    throw new UsageError(`--server ${asked} is none of the document's servers: ${listed(servers)}`);
  }
  const origins = new Set(urls.map(originOf));
  for (const some of [servers.filter(({ url }) => origins.has(originOf(url))), servers]) {
    const [base, ...others] = new Set(some.map((server) => server.base));
    if (base !== undefined && others.length === 0) return base;
  }
  throw new UsageError(
    `the document's servers have different paths; choose one with --server NUMBER: ${listed(servers)}`,
  );
}

function originOf(url: string): string {
  try {
    return new URL(url).origin;
  } catch {
    return url; // A path alone: of no target.
  }
}

function listed(servers: readonly ApiServer[]): string {
  const shown = servers.slice(0, SERVERS_LISTED_MAX).map(({ url }, index) => `${index + 1} ${url}`);
  return `${shown.join(', ')}${servers.length > shown.length ? ', …' : ''}`;
}

const SERVERS_LISTED_MAX = 10;
