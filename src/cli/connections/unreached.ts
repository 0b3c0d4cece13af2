import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { remedyOfLink } from '../../app/health/server-link.ts';
import { type Connect, RpcError } from '../../rpc/index.ts';
import { codeOf } from '../../std/index.ts';

/** Why a role could not be reached, as far as its socket or address tells. */
export interface Unreached {
  /** The code of the system, such as EACCES. */
  readonly code: string | undefined;
  /** What to do; a part of a sentence, or more. */
  readonly remedy: string;
}

/** Tells why no connection came about; `option` is what names another socket or address. */
export function whyUnreached(
  error: unknown,
  { role, connect, option }: { readonly role: 'server' | 'agent'; readonly connect: Connect; readonly option: string },
): Unreached {
  const code = codeOf(error instanceof RpcError ? error.cause : error);
  if (!('unix' in connect))
    return {
      code,
      remedy: remedyOfLink(error, option) ?? `see that the ${role} runs there and that this machine reaches it`,
    };
  switch (code) {
    case 'EACCES':
    case 'EPERM':
      return { code, remedy: `only root${ownerOf(connect.unix)} may open it: run this with sudo` };
    case 'ENOENT':
      return {
        code,
        remedy: `the ${role} does not run, or its socket is elsewhere: start it with \`countersign ${role}\`, or name its configuration with --config or the socket with ${option}`,
      };
    case 'ECONNREFUSED':
      return { code, remedy: `the ${role} that made it has ended: start it with \`countersign ${role}\`` };
    default:
      return { code, remedy: `see that the ${role} runs, and its log` };
  }
}

/** Of the socket; where its folder is closed too, whoever owns the socket owns the folder. */
function ownerOf(socket: string): string {
  for (const path of [socket, dirname(socket)])
    try {
      const { uid } = statSync(path);
      return uid === 0 ? '' : ` and uid ${uid}`;
    } catch {
      // The next one may tell.
    }
  return '';
}
